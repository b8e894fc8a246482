//! Packets of a client.

/// The protocol level of a CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V31,
    V311,
    V5,
}

pub(super) fn text(body: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    body.extend(length.to_be_bytes());
    body.extend(&text[..length.into()]);
}

/// A packet with its remaining length.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// What a CONNECT says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello<'a> {
    pub(super) version: Version,
    pub(super) clean: bool,
    pub(super) client_id: &'a str,
    pub(super) app: &'a str,
    pub(super) will: bool,
    /// Seconds, for MQTT 5.
    pub(super) expiry: u32,
    /// 0 = not named.
    pub(super) receive_maximum: u16,
}

impl Hello<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let (name, level) = match self.version {
            Version::V31 => ("MQIsdp", 3),
            Version::V311 => ("MQTT", 4),
            Version::V5 => ("MQTT", 5),
        };
        text(&mut body, name.as_bytes());
        let will = if self.will { 0b0000_1100 } else { 0 };
        body.extend([level, 0x80 | will | u8::from(self.clean) << 1, 0, 60]);
        if self.version == Version::V5 {
            let mut properties = vec![0x11];
            properties.extend(self.expiry.to_be_bytes());
            if self.receive_maximum > 0 {
                properties.push(0x21);
                properties.extend(self.receive_maximum.to_be_bytes());
            }
            body.push(u8::try_from(properties.len()).unwrap_or_default());
            body.extend(properties);
        }
        text(&mut body, self.client_id.as_bytes());
        if self.will {
            if self.version == Version::V5 {
                body.push(0);
            }
            text(&mut body, b"will");
            text(&mut body, b"gone");
        }
        text(&mut body, self.app.as_bytes());
        packet(0x10, &body)
    }
}
