use serde::{Deserialize, Serialize};

use crate::id::{ClientMessageId, MessageId, Seq};
use crate::json::JsonObject;
use crate::message::{Conversation, Member, Mention, MessageType, Notification, TargetType};

/// A message in a user's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageItem {
    /// Where it is, as this user sees it.
    pub conversation: Conversation,
    /// Its place in the conversation.
    pub msg_seq: Seq,
    /// `msg_seq` again where what came before it in the conversation is no longer kept for offline
    /// delivery: a client without it has a gap that no stream will fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated_before: Option<Seq>,
    /// The message's number.
    pub msg_id: MessageId,
    /// Who sent it.
    pub from: Member,
    /// What `target_id` names.
    pub target_type: TargetType,
    /// A username, or the number of a group as text, as the sender wrote it.
    pub target_id: String,
    /// What `msg_body` holds.
    pub msg_type: MessageType,
    /// The content, as the sender wrote it.
    pub msg_body: JsonObject,
    /// When it was accepted, in milliseconds since 1970.
    pub msg_ctime: u64,
    /// The sender's own id of it, for the sender's other devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_msg_id: Option<ClientMessageId>,
    /// `true` shows nothing in the tray.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_notification: bool,
    /// What the tray shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    /// `true` asks for a read receipt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub need_receipt: bool,
    /// Whom the message mentions; an empty list mentions everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<Mention>>,
    /// When it stops being delivered, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_at: Option<u64>,
}
