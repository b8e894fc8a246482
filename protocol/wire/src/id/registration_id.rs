use std::borrow::Cow;

use super::IdError;
use super::text::{length, no_controls};

text_id! {
    /// A device's registration id, JPush's name for where pushes go: opaque, 1 to 64 bytes.
    RegistrationId
}

impl RegistrationId {
    /// Greatest length, in bytes.
    pub const MAX: usize = 64;

    fn check(text: &str) -> Result<Cow<'_, str>, IdError> {
        length("registration_id", text, 1, Self::MAX)?;
        no_controls("registration_id", text)?;
        Ok(Cow::Borrowed(text))
    }
}
