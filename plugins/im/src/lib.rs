//! Chat on the broker's connection: conversations, messages, and each user's stream of them.
//!
//! A message is stored first: its place in the conversation and in the streams of its members is
//! allotted in the transaction that stores it, and the sender is answered after the commit. Then
//! it is delivered, batch by batch, to every device that listens to its user's stream; the
//! device's cursor, moved by its acknowledgements, says what it still needs.

#![expect(
    clippy::duplicate_mod,
    reason = "the statements of the store are compiled once for each database"
)]

mod collector;
mod commands;
mod config;
mod conversation_key;
mod delivery;
mod directory;
mod item;
mod message_id;
mod outlet;
mod plugin;
mod rates;
pub mod store;
mod streams;
mod sweeper;

pub use config::ImConfig;
pub use conversation_key::{ConversationKey, UnreadableName};
pub use plugin::Im;

/// Wall-clock time in milliseconds since 1970.
fn now_ms(clock: &partyline_plugin::Clock) -> u64 {
    u64::try_from(clock.now_ms()).unwrap_or(0)
}
