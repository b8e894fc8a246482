//! Packets to the broker.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Property, Version};

/// A CONNECT.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The protocol.
    pub version: Version,
    /// Client id.
    pub client_id: String,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Bytes>,
    /// Clean Start, or Clean Session before MQTT 5.
    pub clean: bool,
    /// Keep-alive, seconds.
    pub keep_alive: u16,
    /// Topic, payload, QoS, RETAIN.
    pub will: Option<(String, Bytes, u8, bool)>,
    /// MQTT 5 properties of the will.
    pub will_properties: Vec<Property>,
    /// MQTT 5 properties.
    pub properties: Vec<Property>,
}

impl ConnectOptions {
    /// A clean CONNECT without credentials.
    pub fn new(version: Version, client_id: impl Into<String>) -> Self {
        Self {
            version,
            client_id: client_id.into(),
            username: None,
            password: None,
            clean: true,
            keep_alive: 60,
            will: None,
            will_properties: Vec::new(),
            properties: Vec::new(),
        }
    }

    /// With credentials.
    #[must_use]
    pub fn login(mut self, username: impl Into<String>, password: impl Into<Bytes>) -> Self {
        self.username = Some(username.into());
        self.password = Some(password.into());
        self
    }

    /// Resuming or keeping a session; `expiry` seconds in MQTT 5.
    #[must_use]
    pub fn persistent(mut self, expiry: u32) -> Self {
        self.clean = false;
        self.property(0x11, expiry.to_be_bytes().to_vec())
    }

    /// With a will.
    #[must_use]
    pub fn will(mut self, topic: &str, payload: &'static [u8], qos: u8, retain: bool) -> Self {
        self.will = Some((topic.to_owned(), Bytes::from_static(payload), qos, retain));
        self
    }

    /// With an MQTT 5 property of the will, as on the wire.
    #[must_use]
    pub fn will_property(mut self, id: u8, value: impl Into<Bytes>) -> Self {
        self.will_properties.push((id, value.into()));
        self
    }

    /// With an MQTT 5 property, as on the wire.
    #[must_use]
    pub fn property(mut self, id: u8, value: impl Into<Bytes>) -> Self {
        self.properties.push((id, value.into()));
        self
    }

    /// With a user property.
    #[must_use]
    pub fn user_property(self, name: &str, value: &str) -> Self {
        let mut pair = BytesMut::new();
        text(&mut pair, name);
        text(&mut pair, value);
        self.property(0x26, pair.freeze())
    }

    pub(super) fn encode(&self) -> BytesMut {
        let mut body = BytesMut::new();
        let (name, level) = match self.version {
            Version::V31 => ("MQIsdp", 3),
            Version::V311 => ("MQTT", 4),
            Version::V5 => ("MQTT", 5),
        };
        text(&mut body, name);
        body.put_u8(level);
        let will = self.will.as_ref().map_or(0, |(_, _, qos, retain)| {
            0b100 | qos << 3 | u8::from(*retain) << 5
        });
        let username = u8::from(self.username.is_some()) << 7;
        let password = u8::from(self.password.is_some()) << 6;
        body.put_u8(username | password | will | u8::from(self.clean) << 1);
        body.put_u16(self.keep_alive);
        if self.version == Version::V5 {
            properties(&mut body, &self.properties);
        }
        text(&mut body, &self.client_id);
        if let Some((topic, payload, ..)) = &self.will {
            if self.version == Version::V5 {
                properties(&mut body, &self.will_properties);
            }
            text(&mut body, topic);
            binary(&mut body, payload);
        }
        if let Some(username) = &self.username {
            text(&mut body, username);
        }
        if let Some(password) = &self.password {
            binary(&mut body, password);
        }
        packet(0x10, &body)
    }
}

/// A whole packet.
pub(super) fn packet(first: u8, body: &[u8]) -> BytesMut {
    let mut packet = BytesMut::new();
    packet.put_u8(first);
    length(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

pub(super) fn text(to: &mut BytesMut, text: &str) {
    binary(to, text.as_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "tests send short strings")]
fn binary(to: &mut BytesMut, bytes: &[u8]) {
    to.put_u16(bytes.len() as u16);
    to.extend_from_slice(bytes);
}

pub(super) fn properties(to: &mut BytesMut, properties: &[Property]) {
    let mut all = BytesMut::new();
    for (id, value) in properties {
        all.put_u8(*id);
        all.extend_from_slice(value);
    }
    length(to, all.len());
    to.extend_from_slice(&all);
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits")]
fn length(to: &mut BytesMut, mut length: usize) {
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        to.put_u8(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
}
