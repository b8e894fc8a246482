//! Ids and names, each a type of its own that only exists in its valid form.
//!
//! Text ids share their characters (`Arc<str>`), so clones are cheap. Numeric ids stay below 2^53,
//! so that a JavaScript client can hold them without loss.

// Before the ids, because they are written with these macros.
#[macro_use]
mod text;
#[macro_use]
mod number;

mod app_key;
mod client_id;
mod client_message_id;
mod epoch;
mod error;
mod numbers;
mod registration_id;
mod seq;
mod username;

#[cfg(test)]
mod tests;

pub use app_key::AppKey;
pub use client_id::ClientId;
pub use client_message_id::ClientMessageId;
pub use epoch::Epoch;
pub use error::IdError;
pub use number::MAX_ID;
pub use numbers::{GroupId, MessageId, RoomId};
pub use registration_id::RegistrationId;
pub use seq::Seq;
pub use username::Username;
