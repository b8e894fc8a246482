//! Who may connect, and as whom.

use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use partyline_protocol::{ClientId, Reason};

use super::HookResult;
use crate::{DeviceKey, Outgoing, Principal, ProtocolVersion};

/// A CONNECT, as authentication sees it. Its `Debug` leaves the password out.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConnectRequest {
    /// The client id, the broker's own where the client sent none.
    pub client_id: ClientId,
    /// Whether the broker assigned the client id.
    pub client_id_assigned: bool,
    /// The user name.
    pub username: Option<Box<str>>,
    /// The password.
    pub password: Option<Bytes>,
    /// The protocol.
    pub version: ProtocolVersion,
    /// Where the connection comes from.
    pub peer: SocketAddr,
    /// MQTT 5 user properties, in order.
    pub user_properties: Vec<(Box<str>, Box<str>)>,
}

impl ConnectRequest {
    /// A request; made by the broker and by tests.
    pub fn new(client_id: ClientId, version: ProtocolVersion, peer: SocketAddr) -> Self {
        Self {
            client_id,
            client_id_assigned: false,
            username: None,
            password: None,
            version,
            peer,
            user_properties: Vec::new(),
        }
    }

    /// The first user property of this name.
    pub fn user_property(&self, name: &str) -> Option<&str> {
        self.user_properties
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| &**value)
    }
}

impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("version", &self.version)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// What an accepted connection becomes.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The session's key.
    pub device: DeviceKey,
    /// Who it acts as.
    pub principal: Principal,
    /// User properties for the CONNACK (MQTT 5 only).
    pub connack_properties: Vec<(String, String)>,
    /// Sent right after the CONNACK, before anything else.
    pub welcome: Vec<Outgoing>,
}

/// A refused CONNECT. 3.1 and 3.1.1 clients get the nearest of their five codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRefusal {
    /// The MQTT 5 reason code.
    pub reason: Reason,
    /// A reason string for MQTT 5 clients that asked for problem information.
    pub message: Option<String>,
}

impl ConnectRefusal {
    /// A refusal without a reason string.
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            message: None,
        }
    }

    /// A refusal that says why.
    pub fn because(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: Some(message.into()),
        }
    }
}

/// The verdict on a CONNECT. If all hooks say `Next`, the broker refuses.
#[must_use]
#[derive(Debug, Clone)]
pub enum AuthVerdict {
    /// Not mine to judge.
    Next,
    /// Let in.
    Allow(Box<Admission>),
    /// Refused.
    Deny(ConnectRefusal),
}

/// Decides who a connection is. It has the CONNECT's own time limit, not a hook's deadline, since
/// hashing a password may have to wait its turn.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// Decide.
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict>;
}
