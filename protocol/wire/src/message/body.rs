use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields;
use crate::error_code::{ErrorCode, RequestError};
use crate::json::{JsonObject, MAX_BODY_DEPTH, within_depth};

/// What a message holds, JMessage's `msg_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageType {
    /// Text.
    Text,
    /// A picture.
    Image,
    /// A voice recording.
    Voice,
    /// A video with an optional thumbnail.
    Video,
    /// A file.
    File,
    /// A place on earth.
    Location,
    /// Whatever the app means by it; not read.
    Custom,
}

impl MessageType {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::File => "file",
            Self::Location => "location",
            Self::Custom => "custom",
        }
    }
}

/// A message's body, known to hold what its type asks for. The sender's JSON is kept as it came,
/// fields that the broker doesn't know included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageBody {
    msg_type: MessageType,
    object: JsonObject,
}

impl MessageBody {
    /// Checks the body against its type and a limit in bytes of JSON text.
    ///
    /// Fails with [`ErrorCode::MessageTooLong`], with [`ErrorCode::TooDeep`] above
    /// [`MAX_BODY_DEPTH`] levels or, naming the field, with [`ErrorCode::InvalidMessageContent`].
    pub fn parse(
        msg_type: MessageType,
        object: JsonObject,
        max_bytes: usize,
    ) -> Result<Self, RequestError> {
        Self::check(msg_type, &object, max_bytes)?;
        Ok(Self { msg_type, object })
    }

    pub(super) fn check(
        msg_type: MessageType,
        object: &JsonObject,
        max_bytes: usize,
    ) -> Result<(), RequestError> {
        let size = object.size();
        if size > max_bytes {
            let detail = format!("msg_body has {size} bytes, the most is {max_bytes}");
            return Err(RequestError::new(ErrorCode::MessageTooLong).with_detail(detail));
        }
        if !within_depth(object.as_str().as_bytes(), MAX_BODY_DEPTH) {
            let detail = format!("the most in msg_body is {MAX_BODY_DEPTH} levels");
            return Err(RequestError::new(ErrorCode::TooDeep).with_detail(detail));
        }
        let invalid = |detail: String| {
            RequestError::new(ErrorCode::InvalidMessageContent).with_detail(detail)
        };
        // Custom bodies as well: half a surrogate pair or 1e999 pass as JSON text, but a receiver's
        // parser would refuse the whole batch for it.
        let values: Map<String, Value> = serde_json::from_str(object.as_str())
            .map_err(|error| invalid(format!("msg_body: {error}")))?;
        fields::check("msg_body", &values, fields::of(msg_type)).map_err(invalid)
    }

    /// The type that the body was checked for.
    pub fn msg_type(&self) -> MessageType {
        self.msg_type
    }

    /// The body as it was sent.
    pub fn object(&self) -> &JsonObject {
        &self.object
    }

    /// The body as it was sent.
    pub fn into_object(self) -> JsonObject {
        self.object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(msg_type: MessageType, json: &str) -> Result<MessageBody, RequestError> {
        MessageBody::parse(msg_type, JsonObject::parse(json).unwrap(), 4096)
    }

    #[test]
    fn every_type_has_its_fields() {
        let image = r#"{"media_id":"m","media_crc32":-3,"width":1,"height":2,"fsize":3}"#;
        let file = r#"{"media_id":"m","media_crc32":3,"fsize":3,"fname":"f"}"#;
        let video = format!(r#"{{"video":{file},"duration":1.5,"thumb":{image}}}"#);
        let voice = r#"{"media_id":"m","media_crc32":3,"duration":2,"fsize":3,"format":null}"#;
        let location = r#"{"latitude":1.5,"longitude":-2,"scale":3,"label":"home"}"#;
        for (msg_type, body) in [
            (
                MessageType::Text,
                r#"{"text":"hi","extras":{"a":1},"more":[]}"#,
            ),
            (MessageType::Image, image),
            (MessageType::Voice, voice),
            (MessageType::File, file),
            (MessageType::Video, &video),
            (MessageType::Location, location),
            (MessageType::Custom, r#"{"extras":7}"#),
        ] {
            let parsed = parse(msg_type, body).unwrap();
            assert_eq!(parsed.object().as_str(), body, "passed on unchanged");
        }
    }

    #[test]
    fn errors_name_the_field() {
        for (msg_type, body, part) in [
            (MessageType::Text, "{}", "missing field msg_body.text"),
            (
                MessageType::Text,
                r#"{"text":null}"#,
                "msg_body.text: expected a string",
            ),
            (
                MessageType::Text,
                r#"{"text":"","extras":1}"#,
                "msg_body.extras: expected an object",
            ),
            (
                MessageType::Location,
                r#"{"latitude":"1"}"#,
                "msg_body.latitude: expected a number",
            ),
            (
                MessageType::Video,
                r#"{"video":{"media_id":"m"}}"#,
                "msg_body.video.media_crc32",
            ),
            (
                MessageType::Video,
                r#"{"video":3}"#,
                "msg_body.video: expected an object",
            ),
        ] {
            let error = parse(msg_type, body).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidMessageContent);
            assert!(
                error.message.contains(part),
                "{} lacks {part}",
                error.message
            );
        }
    }

    #[test]
    fn custom_bodies_can_be_read_by_everyone() {
        for bad in [r#"{"a":"\ud800"}"#, r#"{"a":1e999}"#] {
            let error = parse(MessageType::Custom, bad).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidMessageContent, "{bad}");
        }
        let nested = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        assert!(parse(MessageType::Custom, &nested(24)).is_ok());
        let error = parse(MessageType::Custom, &nested(25)).unwrap_err();
        assert_eq!(error.code, ErrorCode::TooDeep);
    }

    #[test]
    fn the_limit_counts_bytes() {
        let body = |n: usize| format!(r#"{{"text":"{}"}}"#, "x".repeat(n - 11));
        assert!(parse(MessageType::Text, &body(4096)).is_ok());
        let error = parse(MessageType::Text, &body(4097)).unwrap_err();
        assert_eq!(error.code, ErrorCode::MessageTooLong);
    }
}
