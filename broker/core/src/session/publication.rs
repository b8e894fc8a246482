//! A routed message, encoded once for all its receivers.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use partyline_plugin::{Message, MessageProperties, Qos};
use tokio::time::Instant;

use crate::codec::{Frame, encode_publish};

/// A message whose topic and properties are longer, bytes, is encoded for each receiver anew.
const LONGEST_KEPT_HEAD: usize = 1024;
/// Bytes of a packet beside topic, properties and payload, about.
const HEADER: usize = 16;

/// A message and its encodings, made when first needed: version × (QoS 0 or above). They share its
/// payload.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) message: Message,
    expires: Option<Instant>,
    /// Bytes of topic and properties, about.
    head: usize,
    frames: [OnceLock<Option<Frame>>; 4],
}

impl Publication {
    pub(crate) fn new(message: Message) -> Self {
        let properties = message.properties.as_deref();
        let expiry = properties.and_then(|properties| properties.expiry_secs);
        let expires =
            expiry.and_then(|secs| Instant::now().checked_add(Duration::from_secs(secs.into())));
        let head = message.topic.as_str().len() + properties.map_or(0, properties_len);
        Self {
            message,
            expires,
            head,
            frames: Default::default(),
        }
    }

    /// When it expires, if it does.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.expires
    }

    pub(crate) fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// What it counts for in a queue, bytes: all that it may come to hold.
    pub(crate) fn weight(&self) -> usize {
        let frames = if self.head <= LONGEST_KEPT_HEAD {
            self.frames.len() * (self.head + HEADER)
        } else {
            0
        };
        size_of::<Self>() + self.head + self.message.payload.len() + frames
    }

    /// The packet for receivers of this version and QoS.
    pub(crate) fn frame(&self, v5: bool, qos: Qos, now: Instant) -> Option<Cow<'_, Frame>> {
        let with_id = qos != Qos::AtMostOnce;
        if v5 && let Some(expires) = self.expires {
            // The rest of its life goes with it (MQTT 5 §3.3.2.3.3), so it is encoded each time.
            let rest = expires.saturating_duration_since(now).as_secs();
            let rest = u32::try_from(rest.max(1)).ok();
            return self.encode(v5, with_id, rest).map(Cow::Owned);
        }
        if self.head > LONGEST_KEPT_HEAD {
            return self.encode(v5, with_id, None).map(Cow::Owned);
        }
        let slot = usize::from(v5) << 1 | usize::from(with_id);
        self.frames
            .get(slot)?
            .get_or_init(|| self.encode(v5, with_id, None))
            .as_ref()
            .map(Cow::Borrowed)
    }

    fn encode(&self, v5: bool, with_id: bool, expiry: Option<u32>) -> Option<Frame> {
        let Message {
            topic,
            payload,
            properties,
            ..
        } = &self.message;
        encode_publish(
            v5,
            topic.as_str(),
            payload.clone(),
            with_id,
            properties.as_deref(),
            expiry,
        )
    }
}

/// Bytes of properties, about.
fn properties_len(properties: &MessageProperties) -> usize {
    let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let data = properties.correlation_data.as_ref().map_or(0, Bytes::len);
    let pairs = properties.user.iter();
    let user: usize = pairs.map(|(key, value)| key.len() + value.len() + 32).sum();
    text(&properties.content_type) + text(&properties.response_topic) + data + user
}
