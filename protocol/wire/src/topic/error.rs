use thiserror::Error;

/// Why a text is not the topic name or filter it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopicError {
    /// No characters at all.
    #[error("the topic is empty")]
    Empty,
    /// The character U+0000, which MQTT forbids in every string.
    #[error("the topic holds the character U+0000")]
    Nul,
    /// More bytes than allowed.
    #[error("the topic has {actual} bytes, the most is {max}")]
    TooLong {
        /// Greatest number of bytes.
        max: usize,
        /// Bytes given.
        actual: usize,
    },
    /// More levels than allowed.
    #[error("the topic has {actual} levels, the most is {max}")]
    TooManyLevels {
        /// Greatest number of levels.
        max: usize,
        /// Levels given.
        actual: usize,
    },
    /// `+` or `#` in a topic name.
    #[error("a topic name holds no + or #")]
    WildcardInName,
    /// `+` beside other characters in its level, or `#` anywhere but alone in the last level.
    #[error("+ stands alone in its level, # alone in the last")]
    WildcardPlacement,
    /// A share group that is empty or holds `+`.
    #[error("the share group is empty or holds a wildcard")]
    ShareGroup,
    /// A share without a filter behind its group, or with another share.
    #[error("a share group is followed by / and a filter that is no share itself")]
    ShareFilter,
}
