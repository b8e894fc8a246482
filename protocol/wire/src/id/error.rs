use thiserror::Error;

/// Why a text or number is not the id it was meant to be.
///
/// `what` is the id's field name, lengths are UTF-8 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// Fewer bytes than the id needs.
    #[error("{what} has {actual} bytes, the least is {min}")]
    TooShort {
        /// Which id.
        what: &'static str,
        /// Least number of bytes.
        min: usize,
        /// Bytes given.
        actual: usize,
    },
    /// More bytes than the id may have.
    #[error("{what} has {actual} bytes, the most is {max}")]
    TooLong {
        /// Which id.
        what: &'static str,
        /// Greatest number of bytes.
        max: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A character that the id may not hold there.
    #[error("{what} has a forbidden character at byte {at}, the rule is: {rule}")]
    Character {
        /// Which id.
        what: &'static str,
        /// Byte offset of the first such character.
        at: usize,
        /// The characters that are allowed.
        rule: &'static str,
    },
    /// Text that is not a decimal number.
    #[error("{what} is not a decimal number")]
    NotANumber {
        /// Which id.
        what: &'static str,
    },
    /// A number that JavaScript could not hold.
    #[error("{what} is {actual}, the most is {max}")]
    TooLarge {
        /// Which id.
        what: &'static str,
        /// Greatest allowed number.
        max: u64,
        /// Number given.
        actual: u64,
    },
}

impl IdError {
    /// The field name of the id that was refused.
    pub fn what(&self) -> &'static str {
        match self {
            Self::TooShort { what, .. }
            | Self::TooLong { what, .. }
            | Self::Character { what, .. }
            | Self::NotANumber { what }
            | Self::TooLarge { what, .. } => what,
        }
    }
}
