use std::borrow::Cow;

use super::IdError;
use super::text::{characters, length};

text_id! {
    /// A user's name within its app: 4 to 128 bytes, first a letter or digit, then also `_ . - @`.
    ///
    /// Case counts. No username starts with `$`, so `$service` in a connection's user name can't be
    /// anybody's.
    Username
}

impl Username {
    /// Least length, in bytes.
    pub const MIN: usize = 4;
    /// Greatest length, in bytes.
    pub const MAX: usize = 128;

    fn check(text: &str) -> Result<Cow<'_, str>, IdError> {
        length("username", text, Self::MIN, Self::MAX)?;
        let rule = "first a letter or digit, then letters, digits, _ . - @";
        characters("username", text, rule, |at, c| {
            c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '_' | '.' | '-' | '@'))
        })?;
        Ok(Cow::Borrowed(text))
    }
}
