//! The user's stream: batches on `$im/inbox`, and the commands that page and acknowledge it.

mod ack;
mod batch;
mod item;
mod message_item;
mod sync;

pub use ack::{Ack, Acked};
pub use batch::InboxBatch;
pub use item::{InboxItem, ItemBody, OversizeItem};
pub use message_item::MessageItem;
pub use sync::{Head, Reset, Sync, SyncPage, SyncReply};
