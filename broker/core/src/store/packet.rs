//! A message as bytes and back, through the codec that clients' packets go through: there is no
//! second format that could differ from it.

use bytes::{Bytes, BytesMut};
use partyline_plugin::protocol::{TopicLimits, TopicName};
use partyline_plugin::{Message, Origin, ProtocolVersion, Qos};

use crate::codec::{Codec, Frame, encode_publish};
use crate::packet::Packet;

/// Stands where MQTT wants a packet id.
pub(super) const ANY_ID: u16 = 1;

/// The message as a packet, whose Message Expiry Interval is as it was given.
fn frame(message: &Message) -> Option<Frame> {
    let properties = message.properties.as_deref();
    // The codec writes no 0; what would expire at once is about to all the same.
    let expiry = properties.and_then(|properties| properties.expiry_secs);
    let expiry = expiry.map(|secs| secs.max(1));
    let (topic, payload) = (message.topic.as_str(), message.payload.clone());
    let with_id = message.qos != Qos::AtMostOnce;
    encode_publish(true, topic, payload, with_id, properties, expiry)
}

/// The message as bytes; `None` if it cannot be a packet at all.
pub(crate) fn encode(message: &Message) -> Option<Bytes> {
    let mut output = BytesMut::new();
    frame(message)?.write(message.qos, ANY_ID, message.retain, false, &mut output);
    Some(output.freeze())
}

/// The message that was encoded; `None` if no version of this broker wrote these bytes.
pub(crate) fn decode(bytes: &[u8], origin: Origin) -> Option<Message> {
    let mut codec = Codec::new(ProtocolVersion::V5, usize::MAX);
    let packet = codec.decode(&mut BytesMut::from(bytes)).ok()??;
    let Packet::Publish(publish) = packet else {
        return None;
    };
    let topic = TopicName::parse(&publish.topic, &TopicLimits::MQTT).ok()?;
    // What is kept long must not pin the properties that were read with it.
    let payload = Bytes::copy_from_slice(&publish.payload);
    let mut message = Message::new(topic, payload, origin);
    message.qos = publish.qos;
    message.retain = publish.retain;
    message.properties = publish.properties;
    Some(message)
}

#[cfg(test)]
mod tests {
    use partyline_plugin::MessageProperties;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Box<str>> {
        "[a-zA-Z0-9 äß✓]{0,40}".prop_map(Into::into)
    }

    prop_compose! {
        fn properties()(
            utf8_payload in any::<bool>(),
            expiry_secs in prop::option::of(1_u32..),
            content_type in prop::option::of(text()),
            response_topic in prop::option::of(text().prop_map(|text| format!("r{text}").into())),
            correlation_data in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            user in prop::collection::vec((text(), text()), 0..4),
        ) -> MessageProperties {
            let mut properties = MessageProperties::default();
            properties.utf8_payload = utf8_payload;
            properties.expiry_secs = expiry_secs;
            properties.content_type = content_type;
            properties.response_topic = response_topic;
            properties.correlation_data = correlation_data.map(Bytes::from);
            properties.user = user;
            properties
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            topic in "[a-z/ü]{1,60}",
            payload in prop::collection::vec(any::<u8>(), 0..3000),
            qos in prop::sample::select(vec![Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]),
            retain in any::<bool>(),
            properties in properties(),
        ) {
            let topic = TopicName::parse(&topic, &TopicLimits::MQTT).unwrap();
            let mut message = Message::new(topic, payload, Origin::Client);
            (message.qos, message.retain) = (qos, retain);
            message.properties = (!properties.is_empty()).then(|| Box::new(properties));
            let bytes = encode(&message).unwrap();
            let read = decode(&bytes, Origin::Client).unwrap();
            prop_assert_eq!(read.topic, message.topic);
            prop_assert_eq!(read.payload, message.payload);
            prop_assert_eq!((read.qos, read.retain), (qos, retain));
            prop_assert_eq!(read.properties, message.properties);
        }

        #[test]
        fn other_bytes_are_no_message(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            // Whatever it says, it does not panic.
            let _ = decode(&bytes, Origin::Client);
        }
    }
}
