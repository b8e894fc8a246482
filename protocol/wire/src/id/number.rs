/// The greatest numeric id, 2^53 - 1: the last whole number that JavaScript holds exactly.
pub const MAX_ID: u64 = (1 << 53) - 1;

/// Defines a numeric id, a JSON number of 0 to [`MAX_ID`].
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// Takes a number up to [`MAX_ID`](crate::id::MAX_ID); more is an error.
            pub const fn parse(number: u64) -> Result<Self, $crate::id::IdError> {
                if number > $crate::id::MAX_ID {
                    return Err($crate::id::IdError::TooLarge {
                        what: $what,
                        max: $crate::id::MAX_ID,
                        actual: number,
                    });
                }
                Ok(Self(number))
            }

            /// The id as a number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // One spelling per number: `+7` and `007` would make two keys of one id.
                let plain = text.bytes().all(|b| b.is_ascii_digit())
                    && (text == "0" || !text.starts_with('0'));
                match text.parse() {
                    Ok(number) if plain => Self::parse(number),
                    _ => Err($crate::id::IdError::NotANumber { what: $what }),
                }
            }
        }

        impl TryFrom<u64> for $name {
            type Error = $crate::id::IdError;

            fn try_from(number: u64) -> Result<Self, Self::Error> {
                Self::parse(number)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> u64 {
                id.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <u64 as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(number).map_err(serde::de::Error::custom)
            }
        }
    };
}
