use std::borrow::Cow;

use super::IdError;
use super::text::{characters, length};

text_id! {
    /// An app's public key: exactly 24 of `a-z` and `0-9`.
    ///
    /// Parsing lowers capitals, because JMessage's app keys are case-insensitive and one app must
    /// have one key.
    AppKey
}

impl AppKey {
    /// Length of every app key, in bytes.
    pub const LENGTH: usize = 24;

    fn check(text: &str) -> Result<Cow<'_, str>, IdError> {
        length("appkey", text, Self::LENGTH, Self::LENGTH)?;
        characters("appkey", text, "letters and digits", |_, c| {
            c.is_ascii_alphanumeric()
        })?;
        Ok(if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        })
    }
}
