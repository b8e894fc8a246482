use serde::{Deserialize, Serialize};

use super::Secret;
use crate::id::{Epoch, RegistrationId, Seq, Username};
use crate::reason::Reason;

/// `$session`: what a client must know, right after CONNACK and again when it subscribes to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionNotice {
    /// Where the device gets its pushes.
    pub registration_id: RegistrationId,
    /// The device's secret; only when it is newly issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_secret: Option<Secret>,
    /// The user on this connection, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// A login token; only when it is newly issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The life of the user's stream; left out without a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The last place of the user's stream; left out without a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Seq>,
    /// The server's clock, in milliseconds since 1970.
    pub server_time: u64,
    /// Why the connection is about to be closed, for MQTT 3.1.1, which has no other way to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kicked: Option<Kicked>,
}

/// Why a user was taken off a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// What happened.
    pub reason: KickReason,
    /// The reason code that MQTT 5 has in its DISCONNECT.
    pub code: Reason,
}

impl From<KickReason> for Kicked {
    /// The reason with 0x98, administrative action.
    fn from(reason: KickReason) -> Self {
        Self {
            reason,
            code: Reason::AdministrativeAction,
        }
    }
}

/// What took a user off a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KickReason {
    /// A newer login in the same class.
    NewLogin,
    /// `$im/session/kick` from another device.
    Device,
    /// The account was disabled.
    Disabled,
    /// The account was deleted.
    Deleted,
    /// The password was changed elsewhere.
    PasswordChanged,
}

impl KickReason {
    /// The name on the wire, also for the reason string of MQTT 5.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewLogin => "new_login",
            Self::Device => "device",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::PasswordChanged => "password_changed",
        }
    }
}
