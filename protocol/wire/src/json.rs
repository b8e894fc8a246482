//! JSON that is passed on as it came: checked for depth, kept as text.

mod canonical;
mod depth;
mod object;

pub use depth::{MAX_BODY_DEPTH, MAX_DEPTH};
pub use object::{JsonError, JsonObject};

pub(crate) use canonical::canonical;
pub(crate) use depth::within_depth;
