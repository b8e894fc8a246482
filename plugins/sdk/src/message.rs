//! Application messages.

use std::fmt;

use bytes::Bytes;
use partyline_protocol::TopicName;

/// MQTT quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl Qos {
    /// The number on the wire, 0 to 2.
    pub const fn level(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A client's PUBLISH.
    Client,
    /// A plugin, by its id.
    Plugin(&'static str),
    /// The broker's HTTP API.
    Http,
    /// A will.
    Will,
    /// The broker itself.
    System,
}

/// The properties that MQTT 5 carries from publisher to subscriber unaltered (MQTT 5 §3.3.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MessageProperties {
    /// Payload Format Indicator: the payload is UTF-8 text.
    pub utf8_payload: bool,
    /// Message Expiry Interval, seconds from receipt.
    pub expiry_secs: Option<u32>,
    /// Content Type.
    pub content_type: Option<Box<str>>,
    /// Response Topic.
    pub response_topic: Option<Box<str>>,
    /// Correlation Data.
    pub correlation_data: Option<Bytes>,
    /// User Properties, in order.
    pub user: Vec<(Box<str>, Box<str>)>,
}

impl MessageProperties {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A message on its way through the broker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Message {
    /// The topic it is published to.
    pub topic: TopicName,
    /// The payload.
    pub payload: Bytes,
    /// The publisher's QoS.
    pub qos: Qos,
    /// Whether it replaces the retained message of its topic.
    pub retain: bool,
    /// MQTT 5 properties; `None` when there are none.
    pub properties: Option<Box<MessageProperties>>,
    /// Where it comes from. What a plugin publishes is marked as the plugin's, whatever it says.
    pub origin: Origin,
    /// How many messages, each an answer of a plugin to the one before, led to it.
    pub hops: u8,
}

impl Message {
    /// A QoS 0 message without properties.
    pub fn new(topic: TopicName, payload: impl Into<Bytes>, origin: Origin) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            properties: None,
            origin,
            hops: 0,
        }
    }

    /// The same as an answer to `cause`; needed where it is published from a task of the plugin's
    /// own, since what an observer publishes itself is known to be an answer.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self) -> Self {
        self.hops = cause.hops.saturating_add(1);
        self
    }
}

/// A payload in two parts: a head of the receiver's own before a body that receivers share. Its
/// `Debug` says how long it is, not what it says.
#[derive(Clone, Default)]
pub struct Payload {
    /// What only this receiver gets.
    pub head: Bytes,
    /// What all receivers of a fan-out share.
    pub body: Bytes,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}

impl Payload {
    /// Bytes of both parts.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether both parts are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<B: Into<Bytes>> From<B> for Payload {
    fn from(body: B) -> Self {
        Self {
            head: Bytes::new(),
            body: body.into(),
        }
    }
}

/// What a plugin hands to one session, past the router.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The topic that the client sees.
    pub topic: TopicName,
    /// The payload.
    pub payload: Payload,
    /// The QoS it is delivered at.
    pub qos: Qos,
}
