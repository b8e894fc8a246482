//! The error codes that clients see, on MQTT and over REST alike.
//!
//! Numbers and messages are JMessage's own where it has one. What only Partyline can say is in
//! 870xxx, a range that JMessage uses neither on its servers nor in its client libraries: 8700xx for
//! requests, 8701xx for the inbox, 8702xx for devices.

mod request_error;
mod table;

pub use request_error::RequestError;
pub use table::ErrorCode;
