//! PUBLISH to clients: encoded once, patched for each receiver.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use partyline_plugin::{MessageProperties, Payload, Qos};
use rmqtt_codec::types::Publish as WirePublish;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder;

use super::qos_out;

/// The largest Remaining Length.
const LONGEST: usize = 0x0fff_ffff;

/// An encoded PUBLISH without retain and DUP flags, whose packet id is still to be filled in.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// All that comes before the body.
    head: Bytes,
    /// The payload, or the part of it that receivers share.
    body: Bytes,
    /// Where the packet id stands; `None` at QoS 0.
    id_at: Option<usize>,
}

impl Frame {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Writes the packet for one receiver.
    pub(crate) fn write(&self, qos: Qos, id: u16, retain: bool, dup: bool, output: &mut BytesMut) {
        let start = output.len();
        output.extend_from_slice(&self.head);
        let Some(packet) = output.get_mut(start..) else {
            return;
        };
        if let Some(first) = packet.first_mut() {
            *first = 0x30 | u8::from(dup) << 3 | qos.level() << 1 | u8::from(retain);
        }
        if let Some(place) = self.id_at.and_then(|at| packet.get_mut(at..at + 2)) {
            place.copy_from_slice(&id.to_be_bytes());
        }
        output.extend_from_slice(&self.body);
    }
}

/// Encodes a PUBLISH; `None` if it cannot be a packet at all.
pub(crate) fn encode_publish(
    v5: bool,
    topic: &str,
    payload: impl Into<Payload>,
    with_id: bool,
    properties: Option<&MessageProperties>,
    expiry_secs: Option<u32>,
) -> Option<Frame> {
    let payload = payload.into();
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
        // Left out and only counted, so that encodings share it.
        payload: Bytes::new(),
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
    let fields = bytes.get(1 + length_bytes(&bytes)..)?;
    let length = fields.len() + payload.len();
    if length > LONGEST {
        tracing::error!(length, "a message is too long for a packet");
        return None;
    }
    let mut head = BytesMut::with_capacity(5 + fields.len() + payload.head.len());
    head.put_u8(0x30);
    put_length(length, &mut head);
    let id_at = with_id.then_some(head.len() + 2 + topic.len());
    head.extend_from_slice(fields);
    head.extend_from_slice(&payload.head);
    Some(Frame {
        head: head.freeze(),
        body: payload.body,
        id_at,
    })
}

/// Bytes of a packet's Remaining Length.
fn length_bytes(packet: &[u8]) -> usize {
    let more = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0);
    more.count() + 1
}

fn put_length(mut length: usize, output: &mut BytesMut) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            output.put_u8(low);
            return;
        }
        output.put_u8(low | 0x80);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Around the lengths at which the Remaining Length takes a byte more.
    #[test]
    fn the_length_counts_the_payload_that_is_left_out() {
        for size in [0, 1, 119, 120, 121, 16_300, 16_380, 2_097_140, 2_097_160] {
            for (v5, with_id) in [(false, false), (false, true), (true, false), (true, true)] {
                let body = Bytes::from(vec![7; size]);
                let head = Bytes::from_static(b"head");
                let payload = Payload { head, body };
                let frame = encode_publish(v5, "t", payload, with_id, None, None).unwrap();
                let mut output = BytesMut::new();
                frame.write(Qos::AtMostOnce, 0x0102, false, false, &mut output);
                assert_eq!(output.len(), frame.len());
                let mut expected = BytesMut::from(&b"\x30"[..]);
                let fields = 3 + 2 * usize::from(with_id) + usize::from(v5);
                put_length(fields + 4 + size, &mut expected);
                expected.extend_from_slice(b"\x00\x01t");
                if with_id {
                    expected.extend_from_slice(&[1, 2]);
                }
                if v5 {
                    expected.put_u8(0);
                }
                expected.extend_from_slice(b"head");
                expected.resize(expected.len() + size, 7);
                assert!(output == expected, "{size}, {v5}, {with_id}");
            }
        }
    }
}
