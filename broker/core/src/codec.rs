//! Bytes to packets and back: the only place that names the codec library.

mod checks;
mod decode;
mod encode;
mod frame;
mod publish;

use partyline_plugin::{ProtocolVersion, Qos};
use rmqtt_codec::types::QoS;
use rmqtt_codec::{v3, v5};

use crate::metrics::Tally;

pub(crate) use checks::check_response_topic;
pub(crate) use encode::{Answer, answer_len, write_pubrel};
pub(crate) use frame::FrameError;
pub(crate) use publish::{ALIAS_BYTES, Alias, Extra, Frame, LONGEST_PACKET, encode_publish};

/// The codec of one connection, once its version is known.
#[derive(Debug)]
pub(crate) struct Codec {
    version: ProtocolVersion,
    /// Largest packet taken, bytes.
    max_packet: usize,
    /// The client's Maximum Packet Size.
    max_sent: Option<u32>,
    /// Packets that were decoded and encoded since somebody last looked.
    pub(crate) tally: Tally,
    /// Whether the client takes reason strings in any packet (MQTT 5 §3.1.2.11.7).
    wants_reasons: bool,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    V3(v3::Codec),
    V5(v5::Codec),
}

impl Codec {
    pub(crate) fn new(version: ProtocolVersion, max_packet: usize) -> Self {
        let inner = match version {
            ProtocolVersion::V5 => Inner::V5(v5::Codec::new(0, 0)),
            ProtocolVersion::V31 | ProtocolVersion::V311 => Inner::V3(v3::Codec::new(0)),
        };
        Self {
            version,
            max_packet,
            max_sent: None,
            tally: Tally::default(),
            wants_reasons: true,
            inner,
        }
    }

    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Whether the client takes a packet of so many bytes.
    pub(crate) fn fits(&self, length: usize) -> bool {
        self.max_sent.is_none_or(|max| length <= max as usize)
    }
}

fn qos_in(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

fn qos_out(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}
