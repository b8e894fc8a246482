use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::TargetType;
use crate::id::{AppKey, GroupId, IdError, RoomId, Username};

/// A conversation as one of its members sees it: `single:{appkey}:{username}` of the other,
/// `group:{gid}` or `room:{id}`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Conversation {
    /// With one other user, who is named.
    Single {
        /// The other's app.
        app: AppKey,
        /// The other's name.
        username: Username,
    },
    /// In a group.
    Group(GroupId),
    /// In a chatroom.
    Room(RoomId),
}

/// Why a text names no conversation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// None of the three forms.
    #[error("a conversation is single:appkey:username, group:gid or room:id")]
    Form,
    /// The right form with a wrong id in it.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl Conversation {
    /// Parses one of the three forms.
    pub fn parse(text: &str) -> Result<Self, ConversationError> {
        let (kind, rest) = text.split_once(':').ok_or(ConversationError::Form)?;
        match kind {
            "single" => {
                let (app, username) = rest.split_once(':').ok_or(ConversationError::Form)?;
                Ok(Self::Single {
                    app: AppKey::parse(app)?,
                    username: Username::parse(username)?,
                })
            }
            "group" => Ok(Self::Group(rest.parse()?)),
            "room" => Ok(Self::Room(rest.parse()?)),
            _ => Err(ConversationError::Form),
        }
    }

    /// The kind of target that a message in this conversation has.
    pub const fn target_type(&self) -> TargetType {
        match self {
            Self::Single { .. } => TargetType::Single,
            Self::Group(_) => TargetType::Group,
            Self::Room(_) => TargetType::Chatroom,
        }
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single { app, username } => write!(f, "single:{app}:{username}"),
            Self::Group(gid) => write!(f, "group:{gid}"),
            Self::Room(id) => write!(f, "room:{id}"),
        }
    }
}

impl FromStr for Conversation {
    type Err = ConversationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Conversation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Conversation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_come_back() {
        for text in [
            "single:0123456789abcdef01234567:bob.1@x",
            "group:7",
            "room:0",
        ] {
            assert_eq!(Conversation::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "group",
            "group:",
            "group:x",
            "group:07",
            "single:bob",
            "user:7",
        ] {
            assert!(Conversation::parse(bad).is_err(), "{bad}");
        }
    }
}
