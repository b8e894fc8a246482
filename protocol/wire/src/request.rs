//! The envelope of commands and their replies.
//!
//! A command is a JSON object with an optional `id`; the reply repeats the id as it was given.
//! Fields that the broker doesn't know are ignored, so that newer clients can talk to older
//! brokers.

mod decode;
mod id;
mod reply;

pub use decode::{Request, decode_request, request_id};
pub use id::RequestId;
pub use reply::{Done, Reply, encode_error, encode_ok};
