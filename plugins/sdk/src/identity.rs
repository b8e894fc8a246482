//! Who a connection is.

use std::fmt;

use partyline_protocol::{AppKey, Class, ClientId, RegistrationId, Username};

/// The version of MQTT that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolVersion {
    /// MQTT 3.1 (`MQIsdp`, level 3).
    V31,
    /// MQTT 3.1.1 (level 4).
    V311,
    /// MQTT 5.0 (level 5).
    V5,
}

/// What a session was admitted as. It never changes while the session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A device or the user on it.
    Device,
    /// The app's own server, proven by the master secret.
    Server,
    /// No credentials, on a listener bound to one app.
    Anonymous,
}

/// Whose client-id space a device lives in: the same client id under two owners is two devices, so
/// that nobody takes over another's session by guessing a client id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A device that proved its own secret.
    Device,
    /// A user whose connection did not prove a device.
    User(Username),
    /// The app's server.
    Server,
    /// An anonymous connection.
    Anonymous,
}

/// The key of a session, fixed at CONNECT. A second connection with the same key takes over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceKey {
    /// The app that the device belongs to.
    pub app: AppKey,
    /// Whose client-id space it is in.
    pub owner: Owner,
    /// The MQTT client id.
    pub client_id: ClientId,
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Owner::Device => write!(f, "{}:{}", self.app, self.client_id),
            Owner::User(user) => write!(f, "{}/{user}:{}", self.app, self.client_id),
            Owner::Server => write!(f, "{}/$service:{}", self.app, self.client_id),
            Owner::Anonymous => write!(f, "{}/-:{}", self.app, self.client_id),
        }
    }
}

/// A user logged in on a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLogin {
    /// The user.
    pub username: Username,
    /// The login class, which decides who kicks whom.
    pub class: Class,
}

/// Who a session acts as. Only its `user` changes while the session lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it was admitted as.
    pub role: Role,
    /// The registration of its device; `None` for servers and anonymous connections.
    pub registration: Option<RegistrationId>,
    /// The user now logged in.
    pub user: Option<UserLogin>,
}

impl Principal {
    /// The name of the user now logged in.
    pub fn username(&self) -> Option<&Username> {
        self.user.as_ref().map(|login| &login.username)
    }
}
