//! Messages: where they go, what they hold, and the command that sends them.

mod body;
mod conversation;
mod fields;
mod limits;
mod parts;
mod send;

pub use body::{MessageBody, MessageType};
pub use conversation::{Conversation, ConversationError};
pub use limits::MessageLimits;
pub use parts::{Member, Mention, Notification, TargetType};
pub use send::{SendMessage, Sent};
