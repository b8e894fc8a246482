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

/// What an accepted connection becomes. Its `Debug` leaves out what the client is told, which may
/// hold a secret.
#[derive(Clone)]
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

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("device", &self.device)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
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

/// The verdict on a CONNECT. If all hooks say `Next`, the broker refuses, unless it has no
/// credentials and `mqtt.anonymous_app` names the app of such clients.
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

#[cfg(test)]
mod tests {
    use partyline_protocol::{AppKey, TopicLimits, TopicName};

    use super::*;
    use crate::{Owner, Qos, Role};

    const SECRET: &str = "hush-hush-hush";

    #[test]
    fn no_secret_of_a_connect_or_its_answer_is_printed() {
        let client_id = ClientId::parse("phone").unwrap();
        let peer = SocketAddr::from(([192, 0, 2, 1], 1));
        let mut request = ConnectRequest::new(client_id.clone(), ProtocolVersion::V5, peer);
        request.password = Some(SECRET.into());
        request.user_properties = vec![("device_secret".into(), SECRET.into())];
        let admission = Admission {
            device: DeviceKey {
                app: AppKey::parse("abcdefghijklmnopqrstuvwx").unwrap(),
                owner: Owner::Device,
                client_id,
            },
            principal: Principal {
                role: Role::Device,
                registration: None,
                user: None,
            },
            connack_properties: vec![("token".to_owned(), SECRET.to_owned())],
            welcome: vec![Outgoing {
                topic: TopicName::parse("$session", &TopicLimits::MQTT).unwrap(),
                payload: SECRET.as_bytes().to_vec().into(),
                qos: Qos::AtMostOnce,
            }],
        };
        let welcome = format!("{:?}", admission.welcome);
        let verdict = format!("{:?}", AuthVerdict::Allow(Box::new(admission)));
        for printed in [format!("{request:?}"), welcome, verdict] {
            let bytes = format!("{:?}", SECRET.as_bytes());
            assert!(
                !printed.contains(SECRET) && !printed.contains(&bytes),
                "{printed}"
            );
        }
    }
}
