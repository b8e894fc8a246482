//! Who may register devices in an app.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a device that nobody knows needs for its first contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Only the public app key.
    Open,
    /// The app's registration token, as MQTT 5 user property `registration_token`, or as password,
    /// which leaves the device's secret for the broker to issue.
    Token,
    /// There are no first contacts: only known devices and users connect.
    Closed,
}

/// Text that names no registration policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("registration is open, token or closed")]
pub struct UnknownRegistration;

impl Registration {
    /// The name in configuration and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Token => "token",
            Self::Closed => "closed",
        }
    }
}

impl std::str::FromStr for Registration {
    type Err = UnknownRegistration;

    fn from_str(text: &str) -> Result<Self, UnknownRegistration> {
        [Self::Open, Self::Token, Self::Closed]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or(UnknownRegistration)
    }
}

impl TryFrom<String> for Registration {
    type Error = UnknownRegistration;

    fn try_from(text: String) -> Result<Self, UnknownRegistration> {
        text.parse()
    }
}
