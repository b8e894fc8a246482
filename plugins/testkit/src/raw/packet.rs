//! Packets as a test sees them.

use anyhow::Context;
use bytes::Bytes;
use serde_json::Value;

use super::decode;

/// The protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.
    V31,
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

/// One property of MQTT 5: its identifier and its value as on the wire.
pub type Property = (u8, Bytes);

/// Properties in the order of the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<Property>);

impl Properties {
    /// The value of the user property with this name.
    pub fn user(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .filter(|(id, _)| *id == 0x26)
            .find_map(|(_, value)| {
                let mut value = value.clone();
                (decode::text(&mut value).ok()? == name).then(|| decode::text(&mut value).ok())?
            })
    }

    /// The first property with this identifier, as on the wire.
    pub fn get(&self, id: u8) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|(one, _)| *one == id)
            .map(|(_, value)| value)
    }

    /// Every property with this identifier, as on the wire.
    pub fn all(&self, id: u8) -> impl Iterator<Item = &Bytes> {
        let with_id = self.0.iter().filter(move |(one, _)| *one == id);
        with_id.map(|(_, value)| value)
    }

    /// The first property with this identifier, a string.
    pub fn text(&self, id: u8) -> Option<String> {
        decode::text(&mut self.get(id)?.clone()).ok()
    }
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// Session Present.
    pub session_present: bool,
    /// Reason code, or return code before MQTT 5.
    pub code: u8,
    /// Properties.
    pub properties: Properties,
}

/// PUBLISH from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// QoS.
    pub qos: u8,
    /// DUP.
    pub dup: bool,
    /// RETAIN.
    pub retain: bool,
    /// Packet id; 0 at QoS 0.
    pub id: u16,
    /// Properties.
    pub properties: Properties,
}

impl Publish {
    /// The payload as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.payload)
            .with_context(|| format!("no JSON on {}: {:?}", self.topic, self.payload))
    }
}

/// A packet from the broker. One with reserved bits, a forbidden value or bytes too many is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// CONNACK.
    ConnAck(ConnAck),
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP: packet type (4 to 7), id, reason.
    Ack(u8, u16, u8),
    /// The same with properties.
    AckWith(u8, u16, u8, Properties),
    /// SUBACK: id and a code for each filter.
    SubAck(u16, Vec<u8>),
    /// UNSUBACK: id and, in MQTT 5, a code for each filter.
    UnsubAck(u16, Vec<u8>),
    /// PINGRESP.
    PingResp,
    /// DISCONNECT: reason and properties.
    Disconnect(u8, Properties),
    /// The broker closed the connection.
    Closed,
}
