use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a device runs on.
///
/// Read from JMessage's letters (`a`, `i`, `w`, `j`), the full names, or the names of the classes
/// `mobile`, `pc` and `web`, capitals or not. Anything
/// else, also nothing, is [`Platform::Other`] and no error: a new platform must still log in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Platform {
    /// `android`, `a`.
    Android,
    /// `ios`, `i`.
    Ios,
    /// `windows`, `w`.
    Windows,
    /// `macos`.
    Macos,
    /// `linux`.
    Linux,
    /// `mobile`: a phone or tablet that doesn't say which.
    Mobile,
    /// `pc`: a computer that doesn't say which.
    Pc,
    /// `web`, `js`, `j`.
    Web,
    /// Not named, or unknown.
    #[default]
    Other,
}

/// The devices among which a newer login kicks the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// Phones and tablets.
    Mobile,
    /// Computers.
    Pc,
    /// Browsers.
    Web,
    /// The only class whose devices don't kick each other.
    Other,
}

impl Platform {
    /// The platform that the text names.
    pub fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "a" | "android" => Self::Android,
            "i" | "ios" => Self::Ios,
            "w" | "windows" => Self::Windows,
            "macos" => Self::Macos,
            "linux" => Self::Linux,
            "mobile" => Self::Mobile,
            "pc" => Self::Pc,
            "j" | "js" | "web" => Self::Web,
            _ => Self::Other,
        }
    }

    /// The full name, as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Windows => "windows",
            Self::Macos => "macos",
            Self::Linux => "linux",
            Self::Mobile => "mobile",
            Self::Pc => "pc",
            Self::Web => "web",
            Self::Other => "other",
        }
    }

    /// The class that the platform belongs to.
    pub const fn class(self) -> Class {
        match self {
            Self::Android | Self::Ios | Self::Mobile => Class::Mobile,
            Self::Windows | Self::Macos | Self::Linux | Self::Pc => Class::Pc,
            Self::Web => Class::Web,
            Self::Other => Class::Other,
        }
    }
}

impl Class {
    /// Whether a newer login kicks the older one of the same class.
    pub const fn is_exclusive(self) -> bool {
        !matches!(self, Self::Other)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::parse(text))
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Self::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_names_have_a_class() {
        for (text, class) in [
            ("a", Class::Mobile),
            ("iOS", Class::Mobile),
            ("Mobile", Class::Mobile),
            ("web", Class::Web),
            ("pc", Class::Pc),
            ("w", Class::Pc),
            ("Linux", Class::Pc),
            ("j", Class::Web),
            ("js", Class::Web),
            ("", Class::Other),
            ("toaster", Class::Other),
        ] {
            let platform = Platform::parse(text);
            assert_eq!(platform.class(), class, "{text}");
            assert_eq!(Platform::parse(platform.as_str()), platform);
        }
        assert!(!Class::Other.is_exclusive());
    }
}
