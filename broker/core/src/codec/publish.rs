//! PUBLISH to clients: encoded once, patched for each receiver.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use partyline_plugin::{MessageProperties, Payload, Qos};
use rmqtt_codec::types::Publish as WirePublish;
use rmqtt_codec::v5;
use tokio_util::codec::Encoder;

use super::qos_out;

/// The largest Remaining Length.
const LONGEST: usize = 0x0fff_ffff;
/// The largest packet, bytes.
pub(crate) const LONGEST_PACKET: usize = 5 + LONGEST;

const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
const TOPIC_ALIAS: u8 = 0x23;

/// An encoded PUBLISH without retain and DUP flags, whose packet id is still to be filled in.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// All that comes before the body.
    head: Bytes,
    /// The payload, or the part of it that receivers share.
    body: Bytes,
    /// Where the length of the topic stands.
    topic_at: u8,
    /// Above QoS 0.
    with_id: bool,
    /// There is a property section.
    v5: bool,
}

/// What only one receiver's packet says, in the properties of MQTT 5.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extra<'a> {
    /// Subscription Identifiers.
    pub(crate) ids: &'a [NonZeroU32],
    pub(crate) alias: Option<Alias>,
}

/// A topic alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) number: NonZeroU16,
    /// The receiver has the topic already, and it is left out.
    pub(crate) known: bool,
}

/// Bytes that an alias takes at most: its property, and a byte more for two lengths.
pub(crate) const ALIAS_BYTES: usize = 3 + 2;

impl Extra<'_> {
    /// Bytes that it adds to the properties.
    fn len(&self) -> usize {
        let ids = self.ids.iter().map(|id| 1 + length_len(id.get() as usize));
        ids.sum::<usize>() + 3 * usize::from(self.alias.is_some())
    }

    fn put(&self, output: &mut BytesMut) {
        for id in self.ids {
            output.put_u8(SUBSCRIPTION_IDENTIFIER);
            put_length(id.get() as usize, output);
        }
        if let Some(alias) = self.alias {
            output.put_u8(TOPIC_ALIAS);
            output.put_u16(alias.number.get());
        }
    }
}

/// A packet in pieces, to be put together with what one receiver adds.
struct Pieces<'a> {
    topic: &'a [u8],
    /// Properties and the head of the payload.
    rest: &'a [u8],
    /// Bytes of all properties.
    properties: usize,
    /// Remaining Length.
    length: usize,
}

impl Frame {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Bytes on the wire with what one receiver adds.
    pub(crate) fn len_with(&self, extra: Extra<'_>) -> usize {
        match self.pieces(extra) {
            None => self.len(),
            Some(pieces) => 1 + length_len(pieces.length) + pieces.length,
        }
    }

    /// Writes the packet for one receiver.
    pub(crate) fn write(&self, qos: Qos, id: u16, retain: bool, dup: bool, output: &mut BytesMut) {
        let start = output.len();
        output.extend_from_slice(&self.head);
        let Some(packet) = output.get_mut(start..) else {
            return;
        };
        if let Some(first) = packet.first_mut() {
            *first = first_byte(qos, retain, dup);
        }
        let at = self.id_at();
        if self.with_id
            && let Some(place) = packet.get_mut(at..at + 2)
        {
            place.copy_from_slice(&id.to_be_bytes());
        }
        output.extend_from_slice(&self.body);
    }

    /// Writes the packet with what only this receiver is told. Nothing is encoded anew but that.
    pub(crate) fn write_with(
        &self,
        extra: Extra<'_>,
        qos: Qos,
        id: u16,
        retain: bool,
        dup: bool,
        output: &mut BytesMut,
    ) {
        let Some(pieces) = self.pieces(extra) else {
            self.write(qos, id, retain, dup, output);
            return;
        };
        output.reserve(1 + 4 + pieces.length);
        output.put_u8(first_byte(qos, retain, dup));
        put_length(pieces.length, output);
        output.put_u16(u16::try_from(pieces.topic.len()).unwrap_or_default());
        output.extend_from_slice(pieces.topic);
        if self.with_id {
            output.put_u16(id);
        }
        put_length(pieces.properties, output);
        extra.put(output);
        output.extend_from_slice(pieces.rest);
        output.extend_from_slice(&self.body);
    }

    fn topic(&self) -> &[u8] {
        let text = self.head.get(usize::from(self.topic_at)..);
        let text = text.and_then(<[u8]>::split_first_chunk);
        let topic = text.and_then(|(length, text)| {
            let length = u16::from_be_bytes(*length);
            text.get(..length.into())
        });
        topic.unwrap_or_default()
    }

    /// Where the packet id stands, above QoS 0.
    fn id_at(&self) -> usize {
        usize::from(self.topic_at) + 2 + self.topic().len()
    }

    /// `None` if nothing is added.
    fn pieces(&self, extra: Extra<'_>) -> Option<Pieces<'_>> {
        let added = extra.len();
        if added == 0 || !self.v5 {
            return None;
        }
        let id = 2 * usize::from(self.with_id);
        let section = self.head.get(self.id_at() + id..)?;
        let (present, bytes) = take_length(section)?;
        let rest = section.get(bytes..)?;
        let topic = match extra.alias {
            Some(Alias { known: true, .. }) => &[],
            _ => self.topic(),
        };
        let properties = present + added;
        let fields = 2 + topic.len() + id + length_len(properties) + added;
        let length = fields + rest.len() + self.body.len();
        Some(Pieces {
            topic,
            rest,
            properties,
            length,
        })
    }
}

fn first_byte(qos: Qos, retain: bool, dup: bool) -> u8 {
    0x30 | u8::from(dup) << 3 | qos.level() << 1 | u8::from(retain)
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
    if !v5 || properties.is_none() && expiry_secs.is_none() {
        return plain_frame(v5, topic, payload, with_id);
    }
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
        properties: Some({
            let mut wire = properties.map_or_else(Default::default, properties_out);
            wire.message_expiry_interval = expiry_secs.and_then(NonZeroU32::new);
            wire
        }),
    });
    let mut bytes = BytesMut::new();
    let encoded = v5::Codec::new(0, 0).encode(v5::Packet::Publish(packet), &mut bytes);
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
    let topic_at = u8::try_from(head.len()).ok()?;
    head.extend_from_slice(fields);
    head.extend_from_slice(&payload.head);
    Some(Frame {
        head: head.freeze(),
        body: payload.body,
        topic_at,
        with_id,
        v5,
    })
}

/// A packet without any property, which most are: written at once, into one allocation.
fn plain_frame(v5: bool, topic: &str, payload: Payload, with_id: bool) -> Option<Frame> {
    let topic_len = u16::try_from(topic.len()).ok()?;
    let fields = 2 + topic.len() + 2 * usize::from(with_id) + usize::from(v5);
    let length = fields + payload.len();
    if length > LONGEST {
        tracing::error!(length, "a message is too long for a packet");
        return None;
    }
    let topic_at = 1 + length_len(length);
    let mut head = BytesMut::with_capacity(topic_at + fields + payload.head.len());
    head.put_u8(0x30);
    put_length(length, &mut head);
    head.put_u16(topic_len);
    head.extend_from_slice(topic.as_bytes());
    if with_id {
        head.put_u16(u16::MAX);
    }
    if v5 {
        head.put_u8(0);
    }
    head.extend_from_slice(&payload.head);
    Some(Frame {
        head: head.freeze(),
        body: payload.body,
        topic_at: u8::try_from(topic_at).ok()?,
        with_id,
        v5,
    })
}

/// Bytes of a packet's Remaining Length.
fn length_bytes(packet: &[u8]) -> usize {
    let more = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0);
    more.count() + 1
}

/// Bytes of a Variable Byte Integer.
pub(super) fn length_len(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// A Variable Byte Integer, and its bytes.
fn take_length(from: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (index, byte) in from.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((length, index + 1));
        }
    }
    None
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

    /// Around the lengths at which Remaining Length or properties take a byte more.
    #[test]
    fn what_one_receiver_is_told_is_added_to_the_properties() {
        let mut properties = MessageProperties::default();
        properties.content_type = Some("x".repeat(100).into());
        let none = MessageProperties::default();
        let ids = [1, 127, 128, 268_435_455].map(|id| NonZeroU32::new(id).unwrap());
        for (size, properties, with_id) in [
            (0, &none, false),
            (100, &none, true),
            (0, &properties, true),
            (16_300, &properties, false),
        ] {
            let body = Bytes::from(vec![7; size]);
            let frame =
                encode_publish(true, "topic", body, with_id, Some(properties), None).unwrap();
            for count in 0..=ids.len() {
                for alias in [None, Some(false), Some(true)] {
                    let number = NonZeroU16::new(300).unwrap();
                    let alias = alias.map(|known| Alias { number, known });
                    let ids = &ids[..count];
                    let extra = Extra { ids, alias };
                    let mut output = BytesMut::new();
                    frame.write_with(extra, Qos::AtMostOnce, 9, true, false, &mut output);
                    assert_eq!(output.len(), frame.len_with(extra));
                    let mut expected = BytesMut::new();
                    let known = alias.is_some_and(|alias| alias.known);
                    let topic: &[u8] = if known { b"" } else { b"topic" };
                    expected.put_u16(u16::try_from(topic.len()).unwrap());
                    expected.extend_from_slice(topic);
                    if with_id {
                        expected.put_u16(9);
                    }
                    let mut section = BytesMut::new();
                    for (id, bytes) in ids.iter().zip([1, 1, 2, 4]) {
                        section.put_u8(0x0b);
                        let start = section.len();
                        put_length(id.get() as usize, &mut section);
                        assert_eq!(section.len() - start, bytes);
                    }
                    if alias.is_some() {
                        section.extend_from_slice(&[0x23, 1, 44]);
                    }
                    if let Some(content_type) = &properties.content_type {
                        section.extend_from_slice(&[3, 0, 100]);
                        section.extend_from_slice(content_type.as_bytes());
                    }
                    put_length(section.len(), &mut expected);
                    expected.extend_from_slice(&section);
                    expected.resize(expected.len() + size, 7);
                    let mut packet = BytesMut::from(&[0x31][..]);
                    put_length(expected.len(), &mut packet);
                    packet.extend_from_slice(&expected);
                    assert!(output == packet, "{size}, {count}, {alias:?}");
                }
            }
        }
    }

    #[test]
    fn before_mqtt_5_nothing_is_added() {
        let frame = encode_publish(false, "t", Bytes::new(), true, None, None).unwrap();
        let ids = [NonZeroU32::MIN];
        let extra = Extra {
            ids: &ids,
            alias: None,
        };
        let mut output = BytesMut::new();
        frame.write_with(extra, Qos::AtLeastOnce, 9, false, false, &mut output);
        assert_eq!(&output[..], b"\x32\x05\x00\x01t\x00\x09");
    }
}
