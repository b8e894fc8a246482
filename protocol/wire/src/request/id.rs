use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// The `id` of a request: a string of at most 64 bytes or a number of at most 64 digits, repeated
/// in the reply as it was given. Cheap to clone.
///
/// `7` and `"7"` are two ids. `Display` writes the JSON, which tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Text(Arc<str>),
    /// The digits as sent: a parsed number could come back with others.
    Number(Arc<str>),
}

impl RequestId {
    /// Greatest length, in bytes of the text or of the number's digits.
    pub const MAX: usize = 64;

    /// An id that is a string; `None` if it is too long.
    pub fn text(text: &str) -> Option<Self> {
        (text.len() <= Self::MAX).then(|| Self(Form::Text(text.into())))
    }

    /// An id that is a number.
    pub fn number(number: u64) -> Self {
        Self(Form::Number(number.to_string().into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?),
            Form::Number(digits) => f.write_str(digits),
        }
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Text(text) => serializer.serialize_str(text),
            Form::Number(digits) => RawValue::from_string(digits.as_ref().to_owned())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

/// Through `serde_json` only, because it keeps the number's digits.
impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let json = raw.get();
        let too_long = || de::Error::custom("more than 64 bytes");
        match json.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(json).map_err(de::Error::custom)?;
                Self::text(&text).ok_or_else(too_long)
            }
            Some(b'-' | b'0'..=b'9') if json.len() > Self::MAX => Err(too_long()),
            Some(b'-' | b'0'..=b'9') => Ok(Self(Form::Number(json.into()))),
            _ => Err(de::Error::custom("expected a string or a number")),
        }
    }
}
