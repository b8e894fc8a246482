use std::borrow::Cow;

use super::IdError;
use super::text::{length, no_controls};

text_id! {
    /// The life of a stream: opaque, 1 to 32 bytes. Another epoch means that the numbers of the
    /// old one say nothing, as after a restored store.
    Epoch
}

impl Epoch {
    /// Greatest length, in bytes.
    pub const MAX: usize = 32;

    fn check(text: &str) -> Result<Cow<'_, str>, IdError> {
        length("epoch", text, 1, Self::MAX)?;
        no_controls("epoch", text)?;
        Ok(Cow::Borrowed(text))
    }
}
