use std::fmt;

use serde::de::{DeserializeOwned, Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::RequestId;
use crate::error_code::{ErrorCode, RequestError};
use crate::json::{MAX_DEPTH, within_depth};

/// A command as it arrived: its id, if it has one, and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<T> {
    /// What the reply repeats.
    pub id: Option<RequestId>,
    /// The fields beside the id.
    pub body: T,
}

#[derive(serde::Deserialize)]
struct Envelope {
    #[serde(default)]
    id: Option<RequestId>,
}

/// Decodes a command's payload.
///
/// Unknown fields are ignored. Fails with [`ErrorCode::TooDeep`] above 32 levels, which is checked
/// before any value is built, and else with [`ErrorCode::InvalidRequest`], whose message names the
/// field where one is at fault.
pub fn decode_request<T: DeserializeOwned>(payload: &[u8]) -> Result<Request<T>, RequestError> {
    let invalid = |detail: &dyn fmt::Display| {
        RequestError::new(ErrorCode::InvalidRequest).with_detail(detail)
    };
    let text = std::str::from_utf8(payload).map_err(|_| invalid(&"not utf-8"))?;
    if !within_depth(payload, MAX_DEPTH) {
        return Err(RequestError::new(ErrorCode::TooDeep).with_detail("the most is 32 levels"));
    }
    // Derived types would take an array for a struct, field by field.
    if !text.trim_start().starts_with('{') {
        return Err(invalid(&"expected a json object"));
    }
    let envelope: Envelope = fields(text).map_err(|detail| invalid(&detail))?;
    let body = fields(text).map_err(|detail| invalid(&detail))?;
    Ok(Request {
        id: envelope.id,
        body,
    })
}

fn fields<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        // Serde appends where in the text it was, which says nothing once the field is named.
        let reason = cause.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        if path == "." {
            reason.to_owned()
        } else {
            format!("{path}: {reason}")
        }
    })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// The id of a payload that may be broken, to answer it all the same: whatever follows the id can
/// be anything. `None` if no valid id can be read.
pub fn request_id(payload: &[u8]) -> Option<RequestId> {
    struct Seek<'a>(&'a mut Option<RequestId>);

    impl<'de> Visitor<'de> for Seek<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a json object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                if key == "id" {
                    *self.0 = Some(map.next_value()?);
                    return Ok(());
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut found = None;
    // The error is about what stands behind the id: it has been reported already.
    let _ = serde_json::Deserializer::from_slice(payload).deserialize_map(Seek(&mut found));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Verb {
        count: u32,
        user: Option<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Inner {
        name: crate::Username,
    }

    fn error(payload: &str) -> RequestError {
        decode_request::<Verb>(payload.as_bytes()).unwrap_err()
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let request = decode_request::<Verb>(br#"{"id":"7","count":1,"new":[1]}"#).unwrap();
        assert_eq!(request.id, RequestId::text("7"));
        assert!(
            decode_request::<Verb>(br#"{"count":1}"#)
                .unwrap()
                .id
                .is_none()
        );
        assert!(
            decode_request::<Verb>(br#"{"id":null,"count":1}"#)
                .unwrap()
                .id
                .is_none()
        );
    }

    #[test]
    fn errors_name_the_field() {
        let says = |payload: &str, part: &str| {
            let error = error(payload);
            assert_eq!(error.code, ErrorCode::InvalidRequest);
            assert!(
                error.message.contains(part),
                "{} lacks {part}",
                error.message
            );
        };
        says("{}", "missing field `count`");
        says(r#"{"count":"x"}"#, "count: invalid type: string");
        says(
            r#"{"count":1,"user":{"name":"al"}}"#,
            "user.name: username has 2 bytes",
        );
        says(
            r#"{"count":1,"id":true}"#,
            "id: expected a string or a number",
        );
        says("[1,null]", "expected a json object");
        says("", "expected a json object");
        says(r#"{"count":1"#, "EOF");
        says(r#"{"count":1} x"#, "trailing");
        assert_eq!(
            decode_request::<Verb>(b"\xff").unwrap_err().message,
            "invalid request: not utf-8"
        );
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!(r#"{{"count":1,"x":{}{}}}"#, "[".repeat(32), "]".repeat(32));
        assert_eq!(error(&deep).code, ErrorCode::TooDeep);
        let bomb = format!(r#"{{"id":1,"x":{}"#, "[".repeat(200_000));
        assert_eq!(error(&bomb).code, ErrorCode::TooDeep);
        assert_eq!(request_id(bomb.as_bytes()), Some(RequestId::number(1)));
    }

    #[test]
    fn the_id_of_a_broken_request_is_found() {
        assert_eq!(
            request_id(br#"{"a":{"id":1},"id":"x","b":"#),
            RequestId::text("x")
        );
        assert_eq!(request_id(br#"{"b":nope,"id":"x"}"#), None);
        assert_eq!(request_id(b"\xff"), None);
        assert_eq!(request_id(br#"{"id":{}}"#), None);
        assert_eq!(request_id(br#"["id"]"#), None);
    }

    #[test]
    fn ids_are_repeated_as_given() {
        for id in ["1.50", "-7", "12345678901234567890123", r#""a\"b""#] {
            let request = format!(r#"{{"id":{id},"count":1}}"#);
            let decoded = decode_request::<Verb>(request.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&decoded.id).unwrap(), id);
            assert_eq!(decoded.id.unwrap().to_string(), id);
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(65));
        assert!(error(&long).message.contains("id: more than 64 bytes"));
    }
}
