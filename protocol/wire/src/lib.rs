//! The wire types of Partyline: what a device, a user or a server sees on MQTT.
//!
//! Every id, topic, payload and error code of the wire contract has its type here, parsed once at
//! the edge and valid from then on. The crate does no input or output: the broker, the plugins and
//! the clients share it.
//!
//! ```
//! use partyline_protocol::{TopicFilter, TopicLimits, Username};
//!
//! let limits = TopicLimits::default();
//! let filter = TopicFilter::parse("$im/#", &limits)?;
//! assert!(filter.matches("$im/inbox"));
//! assert!(Username::parse("al").is_err(), "shorter than four bytes");
//! # Ok::<(), partyline_protocol::TopicError>(())
//! ```
#![warn(missing_docs)]

pub mod error_code;
pub mod id;
pub mod inbox;
pub mod json;
pub mod message;
pub mod names;
pub mod reason;
pub mod request;
pub mod session;
pub mod topic;

pub use error_code::{ErrorCode, RequestError};
pub use id::{
    AppKey, ClientId, ClientMessageId, Epoch, GroupId, IdError, MAX_ID, MessageId, RegistrationId,
    RoomId, Seq, Username,
};
pub use inbox::{
    Ack, Acked, Head, InboxBatch, InboxItem, ItemBody, MessageItem, OversizeItem, Reset, Sync,
    SyncPage, SyncReply,
};
pub use json::{JsonError, JsonObject};
pub use message::{
    Conversation, ConversationError, Member, Mention, MessageBody, MessageLimits, MessageType,
    Notification, SendMessage, Sent, TargetType,
};
pub use reason::{Reason, UnknownReason};
pub use request::{
    Done, Reply, Request, RequestId, decode_request, encode_error, encode_ok, request_id,
};
pub use session::{
    AckMode, BatchBytes, Class, Configure, Configured, Credential, DeviceInfo, DeviceList, Devices,
    KickDevice, KickReason, Kicked, LoggedIn, Login, Logout, Platform, Secret, SessionNotice,
};
pub use topic::{TopicError, TopicFilter, TopicLimits, TopicName};
