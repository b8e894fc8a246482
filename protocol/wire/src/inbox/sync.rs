use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use super::InboxItem;
use crate::id::{Epoch, Seq};
use crate::message::Conversation;

/// `$im/inbox/sync`: asks for the items after a place, also below the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// The life of the stream that `from` belongs to; left out by a client that knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The place after which to read; 0 for the start.
    pub from: Seq,
    /// Most items, or heads, of a page: 1 to [`Sync::MAX_LIMIT`], else the nearest of these. The
    /// batch size bounds a page as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// After a [`Reset`] with `more`: the last conversation of its page, to get the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads_after: Option<Conversation>,
}

impl Sync {
    /// Items of a page when the request names no limit.
    pub const DEFAULT_LIMIT: u32 = 100;
    /// Most items of a page.
    pub const MAX_LIMIT: u32 = 500;

    /// The limit in force.
    pub fn limit(&self) -> u32 {
        self.limit
            .unwrap_or(Self::DEFAULT_LIMIT)
            .clamp(1, Self::MAX_LIMIT)
    }
}

/// Reply to [`Sync`]: items, or heads if the place says nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncReply {
    /// The items asked for.
    Page(SyncPage),
    /// The place is older than what is kept, ahead of the head, or of another epoch.
    Reset(Reset),
}

/// A page of the stream: what follows `prev`, up to and including `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPage {
    /// The life of the stream.
    pub epoch: Epoch,
    /// The place that was asked for.
    pub prev: Seq,
    /// Where the page ends, and the next one starts.
    pub seq: Seq,
    /// The last place of the stream; reached when `seq` is the same.
    pub head: Seq,
    /// The items, ascending.
    pub items: Vec<InboxItem>,
}

/// Where everything stands, for a client that starts anew at `head`. On the wire it is marked by
/// `"reset":true`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// The life of the stream.
    pub epoch: Epoch,
    /// The last place of the stream.
    pub head: Seq,
    /// The user's conversations, without members and bodies.
    pub conversations: Vec<Head>,
    /// Whether there are more conversations; [`Sync::heads_after`] gets them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// Where a conversation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which conversation.
    pub conversation: Conversation,
    /// Its last message.
    pub last_seq: Seq,
    /// The last message that the user has read.
    pub read_seq: Seq,
    /// The first place whose message is kept for offline delivery, if earlier ones that the user
    /// could see are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_before: Option<Seq>,
    /// How many are unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<u64>,
}

impl Serialize for SyncReply {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Marked<'a> {
            reset: bool,
            #[serde(flatten)]
            heads: &'a Reset,
        }

        match self {
            Self::Page(page) => page.serialize(serializer),
            Self::Reset(heads) => Marked { reset: true, heads }.serialize(serializer),
        }
    }
}

// By hand, because serde's untagged way would lose the text of message bodies.
impl<'de> Deserialize<'de> for SyncReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Mark {
            #[serde(default)]
            reset: bool,
        }

        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let mark: Mark = serde_json::from_str(raw.get()).map_err(de::Error::custom)?;
        let reply = if mark.reset {
            serde_json::from_str(raw.get()).map(Self::Reset)
        } else {
            serde_json::from_str(raw.get()).map(Self::Page)
        };
        reply.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_in_range() {
        let limit = |limit| {
            Sync {
                limit,
                ..Sync::default()
            }
            .limit()
        };
        assert_eq!(limit(None), 100);
        assert_eq!(limit(Some(0)), 1);
        assert_eq!(limit(Some(9999)), 500);
    }
}
