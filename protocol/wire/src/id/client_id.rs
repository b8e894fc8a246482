use std::borrow::Cow;

use super::IdError;
use super::text::{length, no_controls};

text_id! {
    /// An MQTT client id, which names the device: 1 to 128 bytes without control characters.
    ///
    /// Anything else goes, `/`, `+` and `#` too: whoever puts one into a topic or a rule checks it.
    ClientId
}

impl ClientId {
    /// Greatest length, in bytes.
    pub const MAX: usize = 128;

    fn check(text: &str) -> Result<Cow<'_, str>, IdError> {
        length("client_id", text, 1, Self::MAX)?;
        no_controls("client_id", text)?;
        Ok(Cow::Borrowed(text))
    }
}
