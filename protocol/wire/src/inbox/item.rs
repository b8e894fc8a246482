use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use super::MessageItem;
use crate::id::Seq;
use crate::message::Conversation;

/// One item of the stream: `{seq, kind, …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxItem {
    /// Its place in the stream.
    pub seq: Seq,
    /// What it is.
    #[serde(flatten)]
    pub body: ItemBody,
}

/// What an item of the stream is, told apart by `kind`. Events and receipts will join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ItemBody {
    /// A message, to the user or sent by the user elsewhere.
    Message(Box<MessageItem>),
    /// A message too large for the client's packets, or unreadable to this version of the broker;
    /// it can be fetched from the history.
    Oversize(OversizeItem),
}

/// Stands for a message that can't be sent: it alone exceeds the batch size, or can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OversizeItem {
    /// Where it is.
    pub conversation: Conversation,
    /// Its place there.
    pub msg_seq: Seq,
    /// As in [`MessageItem`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_before: Option<Seq>,
}

impl ItemBody {
    /// The name that tells the item's kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Oversize(_) => "oversize",
        }
    }
}

// By hand, because serde's own way to read `kind` first would lose the text of message bodies.
impl<'de> Deserialize<'de> for ItemBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(raw.get()).map_err(de::Error::custom)
    }
}

impl ItemBody {
    fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Tag {
            kind: String,
        }

        let tag: Tag = serde_json::from_str(json)?;
        match tag.kind.as_str() {
            "message" => serde_json::from_str(json).map(Self::Message),
            "oversize" => serde_json::from_str(json).map(Self::Oversize),
            kind => Err(de::Error::custom(format!("unknown item kind {kind}"))),
        }
    }
}

impl<'de> Deserialize<'de> for InboxItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Place {
            seq: Seq,
        }

        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let place: Place = serde_json::from_str(raw.get()).map_err(de::Error::custom)?;
        let body = ItemBody::from_json(raw.get()).map_err(de::Error::custom)?;
        Ok(Self {
            seq: place.seq,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_kinds_are_named() {
        let error = serde_json::from_str::<InboxItem>(r#"{"seq":1,"kind":"poke"}"#).unwrap_err();
        assert!(
            error.to_string().contains("unknown item kind poke"),
            "{error}"
        );
    }
}
