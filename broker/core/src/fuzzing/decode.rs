//! Packets of the broker, decoded strictly and without the library that encoded them.

use super::encode::Version;

/// A packet, as far as its rules are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    ConnAck {
        present: bool,
        code: u8,
    },
    Publish {
        qos: u8,
        id: u16,
        dup: bool,
    },
    /// Packet type 4 to 7, and its id.
    Ack(u8, u16),
    SubAck(u16),
    UnsubAck(u16),
    PingResp,
    Disconnect,
}

impl Said {
    /// Its packet type, and for a PUBLISH its QoS.
    pub(super) fn kind(&self) -> (u8, u8) {
        match *self {
            Self::ConnAck { .. } => (2, 0),
            Self::Publish { qos, .. } => (3, qos),
            Self::Ack(kind, _) => (kind, 0),
            Self::SubAck(_) => (9, 0),
            Self::UnsubAck(_) => (11, 0),
            Self::PingResp => (13, 0),
            Self::Disconnect => (14, 0),
        }
    }
}

/// Reads from the front of a body; a body that is too short is the broker's fault.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        assert!(self.0.len() >= count, "a packet of the broker is too short");
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn number(&mut self) -> u16 {
        let bytes = self.take(2);
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    fn id(&mut self) -> u16 {
        let id = self.number();
        assert_ne!(id, 0, "packet id 0");
        id
    }

    fn binary(&mut self) -> &'a [u8] {
        let length = self.number();
        self.take(length.into())
    }

    fn text(&mut self) -> &'a str {
        let text = std::str::from_utf8(self.binary()).expect("a string is UTF-8");
        assert!(!text.contains('\0'), "a string with U+0000");
        text
    }

    fn variable(&mut self) -> usize {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.byte();
            value |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                assert!(index == 0 || byte != 0, "a length longer than it need be");
                return value;
            }
        }
        panic!("a length over four bytes");
    }

    /// A property section with these properties only, each once but 0x26 and 0x0b. Gives those that
    /// it has.
    fn properties(&mut self, allowed: &[u8]) -> Vec<u8> {
        let length = self.variable();
        let mut section = Body(self.take(length));
        let mut seen = Vec::new();
        while !section.0.is_empty() {
            let id = section.byte();
            assert!(
                allowed.contains(&id),
                "property {id:#04x} does not belong here"
            );
            let again = seen.contains(&id) && !matches!(id, 0x0b | 0x26);
            assert!(!again, "property {id:#04x} twice");
            seen.push(id);
            match id {
                0x01 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => {
                    assert!(section.byte() <= 1, "property {id:#04x} is neither 0 nor 1");
                }
                0x13 | 0x21 | 0x22 | 0x23 => {
                    let value = section.number();
                    assert!(
                        value > 0 || matches!(id, 0x13 | 0x22),
                        "property {id:#04x} is 0"
                    );
                }
                0x02 | 0x11 | 0x27 => drop(section.take(4)),
                0x0b => assert_ne!(section.variable(), 0, "subscription identifier 0"),
                0x09 | 0x16 => drop(section.binary()),
                0x26 => drop((section.text(), section.text())),
                _ => drop(section.text()),
            }
        }
        seen
    }

    fn end(&self) {
        assert!(self.0.is_empty(), "a packet of the broker is too long");
    }
}

const ACK_PROPERTIES: &[u8] = &[0x1f, 0x26];

/// The first packet of what the broker has said, and its length; `None` while it is not whole.
pub(super) fn packet(version: Version, said: &[u8]) -> Option<(Said, usize)> {
    let (mut length, mut header) = (0_usize, 1);
    loop {
        let byte = *said.get(header)?;
        assert!(header < 5, "a remaining length over four bytes");
        length |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = said.get(header..header + length)?;
    let packet = decode(version, said[0], Body(body));
    Some((packet, header + length))
}

fn decode(version: Version, first: u8, mut body: Body<'_>) -> Said {
    let v5 = version == Version::V5;
    let flags = first & 0x0f;
    let wanted_flags = match first >> 4 {
        3 => flags,
        6 => 2,
        _ => 0,
    };
    assert_eq!(flags, wanted_flags, "flags of {first:#04x}");
    let said = match first >> 4 {
        2 => connack(version, &mut body),
        3 => publish(v5, flags, &mut body),
        kind @ 4..=7 => {
            let id = body.id();
            if v5 && !body.0.is_empty() {
                body.byte();
                if !body.0.is_empty() {
                    body.properties(ACK_PROPERTIES);
                }
            }
            Said::Ack(kind, id)
        }
        9 => {
            let id = body.id();
            codes(v5, &mut body, |code| match version {
                Version::V5 => code <= 2 || code >= 0x80,
                Version::V31 | Version::V311 => code <= 2 || code == 0x80,
            });
            Said::SubAck(id)
        }
        11 => {
            let id = body.id();
            if v5 {
                codes(v5, &mut body, |_| true);
            }
            Said::UnsubAck(id)
        }
        13 => Said::PingResp,
        14 => {
            assert!(v5, "a DISCONNECT to a client that knows none");
            if !body.0.is_empty() {
                body.byte();
                if !body.0.is_empty() {
                    body.properties(&[0x1c, 0x1f, 0x26]);
                }
            }
            Said::Disconnect
        }
        _ => panic!("no packet of a broker: {first:#04x}"),
    };
    body.end();
    said
}

fn connack(version: Version, body: &mut Body<'_>) -> Said {
    let (flags, code) = (body.byte(), body.byte());
    assert!(flags <= 1, "flags of a CONNACK");
    assert!(flags == 0 || code == 0, "a session is present, and refused");
    match version {
        Version::V5 => {
            body.properties(&[
                0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x1f, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27,
                0x28, 0x29, 0x2a,
            ]);
        }
        Version::V31 | Version::V311 => assert!(code <= 5, "return code {code}"),
    }
    Said::ConnAck {
        present: flags == 1,
        code,
    }
}

fn publish(v5: bool, flags: u8, body: &mut Body<'_>) -> Said {
    let (qos, dup) = (flags >> 1 & 0b11, flags & 0b1000 != 0);
    assert!(qos < 3, "QoS 3");
    assert!(qos > 0 || !dup, "DUP at QoS 0");
    let topic = body.text();
    assert!(!topic.contains(['+', '#']), "a wildcard in a topic name");
    let id = if qos > 0 { body.id() } else { 0 };
    let properties = if v5 {
        body.properties(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26])
    } else {
        Vec::new()
    };
    assert!(!topic.is_empty() || properties.contains(&0x23), "no topic");
    body.0 = &[];
    Said::Publish { qos, id, dup }
}

fn codes(v5: bool, body: &mut Body<'_>, valid: impl Fn(u8) -> bool) {
    if v5 {
        body.properties(ACK_PROPERTIES);
    }
    assert!(!body.0.is_empty(), "no code");
    while !body.0.is_empty() {
        let code = body.byte();
        assert!(valid(code), "code {code:#04x}");
    }
}
