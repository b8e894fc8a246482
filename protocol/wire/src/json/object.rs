use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{MAX_DEPTH, within_depth};

/// A JSON object kept as the text that was sent, so that it goes on unchanged: order of the
/// fields, digits of the numbers and all. Cheap to clone.
///
/// Equality is that of the text. It travels through `serde_json` only.
#[derive(Clone)]
pub struct JsonObject(Arc<RawValue>);

/// Why a text is no [`JsonObject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Valid JSON of another kind, or no JSON.
    #[error("expected a json object")]
    NotAnObject,
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("nested deeper than 32 levels")]
    TooDeep,
}

impl JsonObject {
    /// Parses the text of an object; fails on other JSON and on more than 32 levels.
    pub fn parse(text: impl Into<String>) -> Result<Self, JsonError> {
        RawValue::from_string(text.into())
            .map_err(|_| JsonError::NotAnObject)
            .and_then(Self::from_raw)
    }

    fn from_raw(raw: Box<RawValue>) -> Result<Self, JsonError> {
        if !raw.get().trim_start().starts_with('{') {
            return Err(JsonError::NotAnObject);
        }
        if !within_depth(raw.get().as_bytes(), MAX_DEPTH) {
            return Err(JsonError::TooDeep);
        }
        Ok(Self(raw.into()))
    }

    /// The object's text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Length of the text, in bytes.
    pub fn size(&self) -> usize {
        self.as_str().len()
    }
}

impl PartialEq for JsonObject {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for JsonObject {}

/// Shows the size only: payloads don't belong into logs.
impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({} bytes)", self.size())
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_raw(raw).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays_as_it_was() {
        let text = r#"{"b": 1.00, "a":12345678901234567890123}"#;
        let object: JsonObject = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
        assert_eq!(JsonObject::parse("[1]"), Err(JsonError::NotAnObject));
        assert_eq!(JsonObject::parse("{"), Err(JsonError::NotAnObject));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(33), "}".repeat(33));
        assert_eq!(JsonObject::parse(deep), Err(JsonError::TooDeep));
    }
}
