//! MQTT packets as the kernel sees them, the same for every protocol version.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use partyline_plugin::{MessageProperties, ProtocolVersion, Qos, Reason, RetainHandling};

/// A packet from a client, after CONNECT.
#[derive(Debug)]
pub(crate) enum Packet {
    Publish(Publish),
    PubAck {
        id: u16,
        reason: Reason,
    },
    PubRec {
        id: u16,
        reason: Reason,
    },
    PubRel {
        id: u16,
    },
    PubComp {
        id: u16,
    },
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    PingReq,
    Disconnect(Disconnect),
    /// Re-authentication, which no method offered here allows.
    Auth,
    /// A second CONNECT, or a packet that only servers send.
    Unexpected(&'static str),
}

/// CONNECT. Its `Debug` leaves out password and user properties, which may hold secrets.
#[expect(clippy::struct_excessive_bools, reason = "as the packet has them")]
pub(crate) struct Connect {
    pub(crate) version: ProtocolVersion,
    pub(crate) clean_start: bool,
    /// Seconds; 0 = none.
    pub(crate) keep_alive: u16,
    /// Seconds; `u32::MAX` = never.
    pub(crate) session_expiry: u32,
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: Option<u32>,
    /// Topic aliases that the client takes.
    pub(crate) topic_alias_maximum: u16,
    pub(crate) request_response_information: bool,
    pub(crate) request_problem_information: bool,
    pub(crate) has_auth_method: bool,
    pub(crate) user_properties: Vec<(Box<str>, Box<str>)>,
    pub(crate) will: Option<Will>,
    pub(crate) client_id: Box<str>,
    pub(crate) username: Option<Box<str>>,
    pub(crate) password: Option<Bytes>,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The will of a CONNECT.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) delay_secs: u32,
    pub(crate) properties: Option<Box<MessageProperties>>,
}

/// PUBLISH from a client.
#[derive(Debug)]
pub(crate) struct Publish {
    /// Empty where an alias stands for it.
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// 0 at QoS 0.
    pub(crate) id: u16,
    pub(crate) topic_alias: Option<NonZeroU16>,
    pub(crate) has_subscription_id: bool,
    pub(crate) properties: Option<Box<MessageProperties>>,
}

/// SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<(Box<str>, SubscribeOptions)>,
}

/// The options of one topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscribeOptions {
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) retain_handling: RetainHandling,
    /// The identifier of the SUBSCRIBE, at most 268,435,455 (MQTT 5 §3.8.2.1.2).
    pub(crate) subscription_id: Option<NonZeroU32>,
}

impl SubscribeOptions {
    /// As in SUBSCRIBE (MQTT 5 §3.8.3.1), which has the identifier elsewhere.
    pub(crate) fn to_byte(self) -> u8 {
        let retain_handling = match self.retain_handling {
            RetainHandling::Always => 0,
            RetainHandling::IfNew => 1,
            RetainHandling::Never => 2,
        };
        self.qos.level()
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | retain_handling << 4
    }

    /// `None` if SUBSCRIBE could not say so.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(Self {
            qos: [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
                .into_iter()
                .find(|qos| qos.level() == byte & 0b11)?,
            no_local: byte & 0b100 != 0,
            retain_as_published: byte & 0b1000 != 0,
            retain_handling: match byte >> 4 {
                0 => RetainHandling::Always,
                1 => RetainHandling::IfNew,
                2 => RetainHandling::Never,
                _ => return None,
            },
            subscription_id: None,
        })
    }
}

/// UNSUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Unsubscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<Box<str>>,
}

/// DISCONNECT from a client.
#[derive(Debug)]
pub(crate) struct Disconnect {
    pub(crate) with_will: bool,
    pub(crate) session_expiry: Option<u32>,
}

/// CONNACK. Its `Debug` leaves out the user properties, which may hold secrets.
pub(crate) struct ConnAck {
    pub(crate) session_present: bool,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: u32,
    /// Topic aliases that the broker takes.
    pub(crate) topic_alias_maximum: u16,
    pub(crate) assigned_client_id: Option<String>,
    pub(crate) server_keep_alive: Option<u16>,
    pub(crate) response_information: Option<String>,
    pub(crate) user_properties: Vec<(String, String)>,
}

impl fmt::Debug for ConnAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnAck")
            .field("session_present", &self.session_present)
            .finish_non_exhaustive()
    }
}

/// What is wrong with a packet, and how its connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ProtocolError {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl ProtocolError {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}
