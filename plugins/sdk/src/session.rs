//! Handles and snapshots of sessions.

use std::net::SocketAddr;

use partyline_protocol::AppKey;

use crate::{DeviceKey, Extensions, Principal, ProtocolVersion};

/// A connection of a session, unique in the life of the process and never used again.
///
/// A takeover or a reconnect gives a new id, so an id that a plugin kept can only name the
/// connection it was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// The id with this number; only the broker makes new ones.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number, for logs.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A session at one login. What is delivered to it after the user changed is refused as gone, so
/// that nothing meant for one user reaches the next on the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHandle {
    /// The connection.
    pub id: SessionId,
    /// Its login generation.
    pub login: u32,
}

/// What a session was when the snapshot was taken. Cheap to share as an `Arc`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The connection.
    pub id: SessionId,
    /// Counts logins and logouts on this connection.
    pub login: u32,
    /// The session's key.
    pub device: DeviceKey,
    /// Who it acts as.
    pub principal: Principal,
    /// The protocol it speaks.
    pub version: ProtocolVersion,
    /// Where it connects from.
    pub peer: SocketAddr,
    /// The largest packet the client takes, bytes; `None` = no limit named.
    pub max_packet_size: Option<u32>,
    /// What plugins keep with the connection, over logins, until it ends.
    pub extensions: Extensions,
}

impl SessionInfo {
    /// A snapshot; made by the broker and by test doubles.
    pub fn new(
        id: SessionId,
        device: DeviceKey,
        principal: Principal,
        version: ProtocolVersion,
        peer: SocketAddr,
        max_packet_size: Option<u32>,
    ) -> Self {
        Self {
            id,
            login: 0,
            device,
            principal,
            version,
            peer,
            max_packet_size,
            extensions: Extensions::default(),
        }
    }

    /// The app it belongs to.
    pub fn app(&self) -> &AppKey {
        &self.device.app
    }

    /// The handle for deliveries to the present login.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle {
            id: self.id,
            login: self.login,
        }
    }
}
