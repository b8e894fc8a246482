use std::fmt::Write as _;

use partyline_protocol::{
    ClientMessageId, Conversation, Epoch, JsonObject, Member, Mention, MessageId, MessageType,
    Notification, RegistrationId, SendMessage, Seq, TargetType,
};
use serde::{Deserialize, Serialize};

use crate::conversation_key::ConversationKey;

/// The number of a stream in the store. A stream that is made again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StreamId(pub(crate) i64);

/// A message to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its number.
    pub id: MessageId,
    /// Who sends it.
    pub sender: Member,
    /// The sender's own id of it.
    pub client_msg_id: ClientMessageId,
    /// Tells a repetition from another message under the same id.
    pub content_hash: [u8; 32],
    /// Where it goes.
    pub conversation: ConversationKey,
    /// In whose streams it is, the sender's among them; each once.
    pub receivers: Vec<Member>,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: u64,
    /// When it stops being delivered, in milliseconds since 1970.
    pub expire_at: Option<u64>,
    /// Keeps it out of offline delivery.
    pub no_offline: bool,
    /// What the members see.
    pub content: StoredContent,
}

impl NewMessage {
    /// The hash as the store keeps it.
    pub(crate) fn hash_digits(&self) -> String {
        hash_digits(&self.content_hash)
    }
}

/// A hash in hexadecimal digits.
pub(crate) fn hash_digits(hash: &[u8]) -> String {
    let mut digits = String::with_capacity(hash.len() * 2);
    for byte in hash {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// What of a message only its members read, kept as one JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredContent {
    /// What `target_id` names.
    pub target_type: TargetType,
    /// The target as the sender wrote it.
    pub target_id: String,
    /// What `msg_body` holds.
    pub msg_type: MessageType,
    /// The content as the sender wrote it.
    pub msg_body: JsonObject,
    /// Shows nothing in the tray.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_notification: bool,
    /// What the tray shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    /// Asks for a read receipt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub need_receipt: bool,
    /// Whom the message mentions; an empty list mentions everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<Mention>>,
}

impl From<SendMessage> for StoredContent {
    fn from(message: SendMessage) -> Self {
        Self {
            target_type: message.target_type,
            target_id: message.target_id,
            msg_type: message.msg_type,
            msg_body: message.msg_body,
            no_notification: message.no_notification,
            notification: message.notification,
            need_receipt: message.need_receipt,
            at: message.at,
        }
    }
}

/// A cursor's way from one place to a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorMove {
    /// Whose stream.
    pub stream: StreamId,
    /// Which device.
    pub device: RegistrationId,
    /// Where the cursor must be at least: what lies between was acknowledged too.
    pub from: Seq,
    /// Where it goes, unless it is further already.
    pub to: Seq,
}

/// What one transaction stores.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Messages, in the order of their arrival.
    pub messages: &'a [NewMessage],
    /// Cursor moves, one per device at most.
    pub cursors: &'a [CursorMove],
    /// The life of the streams that have to be made.
    pub fresh: &'a Epoch,
}

/// Where a message was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its place in the conversation.
    pub seq: Seq,
    /// Its place in the stream of each receiver, in the order of [`NewMessage::receivers`].
    pub items: Vec<Seq>,
}

/// A send that was stored before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSend {
    /// Who sent it.
    pub sender: Member,
    /// Under which id.
    pub client_msg_id: ClientMessageId,
    /// The hash of its content, in hexadecimal digits.
    pub content_hash: String,
    /// Its number.
    pub id: MessageId,
    /// Where it went.
    pub conversation: ConversationKey,
    /// Its place there.
    pub seq: Seq,
    /// When it was accepted.
    pub at_ms: u64,
}

/// Where a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which stream.
    pub stream: StreamId,
    /// Its life.
    pub epoch: Epoch,
    /// Its newest item.
    pub head: Seq,
    /// Items up to here fell to retention.
    pub floor: Seq,
}

/// Where a device that is seen for the first time starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the highest place that any device of the user acknowledged.
    Acknowledged,
    /// At the oldest item that is kept.
    Oldest,
    /// At the oldest item that is kept, though a place was stored before.
    OldestAgain,
}

/// Where a device is in its user's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where the stream stands.
    pub place: Place,
    /// Where the device is.
    pub cursor: Seq,
    /// Whether it is where the others were when it came, and has acknowledged nothing since: then
    /// it may still have the kept history.
    pub untouched: bool,
}

/// The part of a stream behind `after`, up to and including `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The place before the first item.
    pub after: Seq,
    /// The last place.
    pub upto: Seq,
}

/// What retention leaves in the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The newest messages of each conversation, of those for offline delivery.
    pub per_conversation: u32,
    /// Accepted since, in milliseconds since 1970.
    pub since_ms: u64,
}

/// An item as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredItem {
    /// Its place in the stream.
    pub seq: Seq,
    /// The message's number.
    pub id: MessageId,
    /// The message's conversation.
    pub conversation: ConversationKey,
    /// Its place there.
    pub msg_seq: Seq,
    /// Who sent it.
    pub sender: Member,
    /// The sender's own id of it; forgotten with the sender.
    pub client_msg_id: Option<ClientMessageId>,
    /// When it was accepted.
    pub at_ms: u64,
    /// When it stops being delivered.
    pub expire_at: Option<u64>,
    /// Whether it is left out of offline delivery.
    pub no_offline: bool,
    /// What the members see; `None` if no version of this plugin wrote what is stored.
    pub content: Option<StoredContent>,
    /// Whether messages of the conversation before this one fell to retention.
    pub truncated: bool,
}

/// Items of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemsPage {
    /// The items, oldest first.
    pub items: Vec<StoredItem>,
    /// How far the page goes: there is nothing more to read up to here.
    pub upto: Seq,
}

impl StoredItem {
    /// The item of a message that was just stored, at these places.
    pub(crate) fn of(message: &NewMessage, msg_seq: Seq, seq: Seq) -> Self {
        Self {
            seq,
            id: message.id,
            conversation: message.conversation.clone(),
            msg_seq,
            sender: message.sender.clone(),
            client_msg_id: Some(message.client_msg_id.clone()),
            at_ms: message.at_ms,
            expire_at: message.expire_at,
            no_offline: message.no_offline,
            content: Some(message.content.clone()),
            truncated: false,
        }
    }
}

/// Where a conversation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationHead {
    /// The conversation as the user sees it.
    pub conversation: Conversation,
    /// Its last message.
    pub last: Seq,
    /// The first place whose message is kept, if earlier ones that the user could see are not.
    pub truncated_before: Option<Seq>,
}

/// A page of conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadsPage {
    /// Each conversation as the user sees it.
    pub heads: Vec<ConversationHead>,
    /// Whether there are more.
    pub more: bool,
}

/// How far a sweep came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// The last stream that was looked at; `None` when there are no more.
    pub last: Option<StreamId>,
    /// How many items were removed.
    pub items: u64,
}
