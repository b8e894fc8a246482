use serde::{Deserialize, Serialize};

use crate::id::{AppKey, Username};

/// What kind of place a message is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetType {
    /// A user; `target_id` is the username.
    Single,
    /// A group; `target_id` is its number as text.
    Group,
    /// A chatroom; `target_id` is its number as text.
    Chatroom,
}

impl TargetType {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Group => "group",
            Self::Chatroom => "chatroom",
        }
    }
}

/// A user together with the app that the name belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The name within the app.
    pub username: Username,
    /// The app.
    pub appkey: AppKey,
}

/// Somebody whom a message mentions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mention {
    /// The name within the app.
    pub username: Username,
    /// The app; the sender's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appkey: Option<AppKey>,
}

/// What a device shows in its tray instead of the broker's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
}
