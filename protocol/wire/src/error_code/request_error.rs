use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ErrorCode;

/// What a service answers instead of a result: a code and a message for whoever reads it.
///
/// On the wire it is `{"code":803008,"message":"user in blacklist"}`. The message goes to the
/// client, so nothing internal belongs into it.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct RequestError {
    /// The stable code.
    pub code: ErrorCode,
    /// The code's own message, with a detail behind it where there is one.
    pub message: String,
}

impl RequestError {
    /// The code with its own message.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: code.message().to_owned(),
        }
    }

    /// Greatest length of a detail, in bytes.
    pub const MAX_DETAIL: usize = 256;

    /// Adds what exactly was wrong: which field, which limit. Cut at [`Self::MAX_DETAIL`], because
    /// it may quote the client, who must not choose the size of the reply.
    #[must_use]
    pub fn with_detail(mut self, detail: impl std::fmt::Display) -> Self {
        let detail = detail.to_string();
        let end = detail.floor_char_boundary(Self::MAX_DETAIL);
        self.message.push_str(": ");
        self.message.push_str(detail.get(..end).unwrap_or(&detail));
        self
    }
}

impl From<ErrorCode> for RequestError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_cut_between_characters() {
        let error = RequestError::new(ErrorCode::InvalidRequest).with_detail("€".repeat(9999));
        assert_eq!(error.message.len(), "invalid request: ".len() + 255);
    }

    #[test]
    fn the_detail_follows_the_message() {
        let error = RequestError::new(ErrorCode::MessageTooLong).with_detail("4097 of 4096 bytes");
        assert_eq!(
            error.to_string(),
            "length of message exceed limit: 4097 of 4096 bytes"
        );
    }
}
