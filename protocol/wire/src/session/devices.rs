use serde::{Deserialize, Serialize};

use super::Platform;
use crate::id::{ClientId, RegistrationId};

/// `$im/session/devices`: asks for the user's devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {}

/// Reply to [`Devices`]: at most 20 by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// The devices that the user is logged in on.
    pub devices: Vec<DeviceInfo>,
}

/// One of the user's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Names the device in `kick` and in pushes.
    pub registration_id: RegistrationId,
    /// What it runs on.
    #[serde(default)]
    pub platform: Platform,
    /// The client id that it connects with.
    pub client_id: ClientId,
    /// Whether it is connected now.
    pub online: bool,
    /// When it was last heard of, in milliseconds since 1970.
    pub last_seen: u64,
}

/// `$im/session/kick`: logs another device of the user out. The reply is
/// [`Done`](crate::request::Done).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KickDevice {
    /// Which device.
    pub registration_id: RegistrationId,
}
