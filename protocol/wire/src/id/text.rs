use super::IdError;

/// Checks a length in bytes; returns the text for chaining.
pub(super) fn length(
    what: &'static str,
    text: &str,
    min: usize,
    max: usize,
) -> Result<(), IdError> {
    let actual = text.len();
    if actual < min {
        Err(IdError::TooShort { what, min, actual })
    } else if actual > max {
        Err(IdError::TooLong { what, max, actual })
    } else {
        Ok(())
    }
}

/// Checks every character with its byte offset.
pub(super) fn characters(
    what: &'static str,
    text: &str,
    rule: &'static str,
    allowed: impl Fn(usize, char) -> bool,
) -> Result<(), IdError> {
    match text.char_indices().find(|(at, c)| !allowed(*at, *c)) {
        Some((at, _)) => Err(IdError::Character { what, at, rule }),
        None => Ok(()),
    }
}

/// Refuses control characters: they serve no name, and NUL cannot be stored as SQL text.
pub(super) fn no_controls(what: &'static str, text: &str) -> Result<(), IdError> {
    characters(what, text, "no control characters", |_, c| !c.is_control())
}

/// Defines a text id; the type itself supplies `fn check(&str) -> Result<Cow<str>, IdError>`.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Parses the text; the error says which rule and limit it broke.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, $crate::id::IdError> {
                Self::check(text.as_ref()).map(|text| Self(text.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        // For rows: sqlx's `try_from = "String"` needs it.
        impl TryFrom<String> for $name {
            type Error = $crate::id::IdError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Lets maps keyed by the id be searched with plain text; the hashes are the same.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(text).map_err(serde::de::Error::custom)
            }
        }
    };
}
