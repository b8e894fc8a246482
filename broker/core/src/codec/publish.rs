//! PUBLISH to clients: encoded once, patched for each receiver.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use partyline_plugin::{MessageProperties, Qos};
use rmqtt_codec::types::Publish as WirePublish;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder;

use super::qos_out;

/// An encoded PUBLISH without retain and DUP flags, whose packet id is still to be filled in.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    bytes: Bytes,
    /// Where the packet id stands; `None` at QoS 0.
    id_at: Option<usize>,
}

impl Frame {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the packet for one receiver.
    pub(crate) fn write(&self, qos: Qos, id: u16, retain: bool, dup: bool, output: &mut BytesMut) {
        let start = output.len();
        output.extend_from_slice(&self.bytes);
        let Some(packet) = output.get_mut(start..) else {
            return;
        };
        if let Some(first) = packet.first_mut() {
            *first = 0x30 | u8::from(dup) << 3 | qos.level() << 1 | u8::from(retain);
        }
        if let Some(place) = self.id_at.and_then(|at| packet.get_mut(at..at + 2)) {
            place.copy_from_slice(&id.to_be_bytes());
        }
    }
}

/// Encodes a PUBLISH; `None` if it cannot be a packet at all.
pub(crate) fn encode_publish(
    v5: bool,
    topic: &str,
    payload: Bytes,
    with_id: bool,
    properties: Option<&MessageProperties>,
    expiry_secs: Option<u32>,
) -> Option<Frame> {
    let qos = if with_id {
        Qos::AtLeastOnce
    } else {
        Qos::AtMostOnce
    };
    let packet = Box::new(WirePublish {
        dup: false,
        retain: false,
        qos: qos_out(qos),
        topic: ByteString::from(topic),
        packet_id: with_id.then_some(NonZeroU16::MAX),
        payload,
        properties: v5.then(|| {
            let mut wire = properties.map_or_else(Default::default, properties_out);
            wire.message_expiry_interval = expiry_secs.and_then(NonZeroU32::new);
            wire
        }),
    });
    let mut bytes = BytesMut::new();
    let encoded = if v5 {
        v5::Codec::new(0, 0).encode(v5::Packet::Publish(packet), &mut bytes)
    } else {
        v3::Codec::new(0).encode(v3::Packet::Publish(packet), &mut bytes)
    };
    if let Err(error) = encoded {
        tracing::error!(%error, "a message could not be encoded");
        return None;
    }
    let length_bytes = bytes
        .iter()
        .skip(1)
        .take_while(|byte| **byte & 0x80 != 0)
        .count()
        + 1;
    let id_at = with_id.then_some(1 + length_bytes + 2 + topic.len());
    Some(Frame {
        bytes: bytes.freeze(),
        id_at,
    })
}

fn properties_out(properties: &MessageProperties) -> v5::PublishProperties {
    v5::PublishProperties {
        is_utf8_payload: properties.utf8_payload,
        content_type: properties.content_type.as_deref().map(Into::into),
        response_topic: properties.response_topic.as_deref().map(Into::into),
        correlation_data: properties.correlation_data.clone(),
        user_properties: properties
            .user
            .iter()
            .map(|(key, value)| (ByteString::from(&**key), ByteString::from(&**value)))
            .collect(),
        ..v5::PublishProperties::default()
    }
}
