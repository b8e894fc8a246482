//! Topic names and filters with MQTT's rules of matching, covering and overlapping.

mod error;
mod filter;
mod limits;
mod name;
mod relation;

#[cfg(test)]
mod tests;

pub use error::TopicError;
pub use filter::TopicFilter;
pub use limits::TopicLimits;
pub use name::TopicName;
