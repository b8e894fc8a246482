use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::RequestId;
use crate::error_code::{ErrorCode, RequestError};

/// The result of a command that has nothing to tell but that it was done: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// A reply as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// The request's id; left out when it had none.
    pub id: Option<RequestId>,
    /// How the request ended.
    pub result: Result<T, RequestError>,
}

#[derive(Serialize)]
struct Answer<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RequestError>,
}

/// Encodes `{"id":…,"ok":…}`; the id is left out if the request had none.
///
/// A value that can't be JSON becomes a system error, because the client waits for a reply.
pub fn encode_ok(id: Option<&RequestId>, ok: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&Answer {
        id,
        ok: Some(ok),
        error: None,
    })
    .unwrap_or_else(|_| encode_error(id, &RequestError::new(ErrorCode::SystemError)))
}

/// Encodes `{"id":…,"error":{"code":…,"message":…}}`; the id is left out if the request had none.
pub fn encode_error(id: Option<&RequestId>, error: &RequestError) -> Vec<u8> {
    // Numbers and strings always are JSON.
    serde_json::to_vec(&Answer::<()> {
        id,
        ok: None,
        error: Some(error),
    })
    .unwrap_or_default()
}

impl<T: DeserializeOwned> Reply<T> {
    /// Decodes what a client receives; fails on anything but one of `ok` and `error`.
    pub fn decode(payload: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Parts {
            #[serde(default)]
            id: Option<RequestId>,
            ok: Option<Box<RawValue>>,
            error: Option<RequestError>,
        }

        let parts: Parts = serde_json::from_slice(payload)?;
        let result = match (parts.ok, parts.error) {
            (Some(ok), None) => Ok(serde_json::from_str(ok.get())?),
            (None, Some(error)) => Err(error),
            _ => return Err(serde_json::Error::custom("expected one of ok and error")),
        };
        Ok(Self {
            id: parts.id,
            result,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_those_of_the_contract() {
        let id = RequestId::text("7");
        let ok = encode_ok(id.as_ref(), &Done {});
        assert_eq!(String::from_utf8(ok).unwrap(), r#"{"id":"7","ok":{}}"#);
        let error = encode_error(id.as_ref(), &ErrorCode::InBlacklist.into());
        let expected = r#"{"id":"7","error":{"code":803008,"message":"user in blacklist"}}"#;
        assert_eq!(String::from_utf8(error.clone()).unwrap(), expected);
        assert_eq!(encode_ok(None, &1), br#"{"ok":1}"#);

        let reply = Reply::<Done>::decode(&error).unwrap();
        assert_eq!(reply.result.unwrap_err().code, ErrorCode::InBlacklist);
        assert!(Reply::<Done>::decode(b"{}").is_err());
    }

    #[test]
    fn what_is_no_json_is_still_answered() {
        let odd = std::collections::HashMap::from([((1, 2), 3)]);
        let reply = encode_ok(Some(&RequestId::number(3)), &odd);
        assert!(
            String::from_utf8(reply)
                .unwrap()
                .starts_with(r#"{"id":3,"error":{"code":800009"#)
        );
    }
}
