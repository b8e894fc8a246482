//! Who a connection is: the `$session` notice and the commands under `$im/session/`.

mod batch_bytes;
mod configure;
mod devices;
mod login;
mod notice;
mod platform;
mod secret;

pub use batch_bytes::BatchBytes;
pub use configure::{AckMode, Configure, Configured};
pub use devices::{DeviceInfo, DeviceList, Devices, KickDevice};
pub use login::{Credential, LoggedIn, Login, Logout};
pub use notice::{KickReason, Kicked, SessionNotice};
pub use platform::{Class, Platform};
pub use secret::Secret;
