//! What the rows hold, as the kernel's own types.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use partyline_plugin::protocol::RegistrationId;
use partyline_plugin::{DeviceKey, Qos};

use super::packet;
use crate::codec::Frame;
use crate::session::Matched;

/// The number of a session in the store. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionNo(pub(super) i64);

/// A session, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    pub(crate) key: DeviceKey,
    pub(crate) registration: Option<RegistrationId>,
    pub(crate) expiry_secs: u32,
    /// Since when it has no connection, milliseconds since 1970.
    pub(crate) detached_ms: Option<i64>,
    pub(crate) will: Option<WillRecord>,
}

/// A will that is not due yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WillRecord {
    /// The message as a packet; its expiry begins when it is published.
    pub(crate) packet: Bytes,
    pub(crate) delay_secs: u32,
}

/// A message as it is kept: a PUBLISH of MQTT 5 that shares the payload with the message.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(super) frame: Frame,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    /// Milliseconds since 1970.
    pub(super) expires_ms: Option<i64>,
}

impl Stored {
    pub(super) fn write(&self, output: &mut BytesMut) {
        self.frame
            .write(self.qos, packet::ANY_ID, self.retain, false, output);
    }
}

/// How far a queued message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits to be sent.
    Waits,
    /// PUBACK is awaited.
    Ack,
    /// PUBREC is awaited.
    Rec,
    /// PUBCOMP is awaited.
    Comp,
}

impl Stage {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Waits => 0,
            Self::Ack => 1,
            Self::Rec => 2,
            Self::Comp => 3,
        }
    }

    pub(super) fn of(number: i64) -> Option<Self> {
        [Self::Waits, Self::Ack, Self::Rec, Self::Comp]
            .into_iter()
            .find(|stage| stage.number() == number)
    }
}

/// A message in a session's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueRecord {
    /// None once the client has it and only the packet id is still needed.
    pub(crate) message: Option<i64>,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// The subscriptions that it is for, where they matter.
    pub(crate) matched: Option<Arc<Matched>>,
    pub(crate) packet_id: Option<u16>,
    pub(crate) stage: Stage,
}
