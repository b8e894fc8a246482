use std::borrow::Cow;

use super::IdError;
use super::text::{length, no_controls};

text_id! {
    /// The sender's own id of a message, unique per sender: 1 to 64 bytes without control
    /// characters. Sending it again is how a client repeats a message safely.
    ClientMessageId
}

impl ClientMessageId {
    /// Greatest length, in bytes.
    pub const MAX: usize = 64;

    fn check(text: &str) -> Result<Cow<'_, str>, IdError> {
        length("client_msg_id", text, 1, Self::MAX)?;
        no_controls("client_msg_id", text)?;
        Ok(Cow::Borrowed(text))
    }
}
