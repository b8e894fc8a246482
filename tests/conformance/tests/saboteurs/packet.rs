//! Packets of MQTT 3.1.1 on their way through a saboteur.

/// A packet, as far as a saboteur takes it apart.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

impl Packet {
    pub(crate) fn new(first: u8, body: &[u8]) -> Self {
        Self {
            first,
            body: body.to_vec(),
        }
    }

    /// Takes a packet off the front of what was received, if there is a whole one.
    pub(crate) fn take(input: &mut Vec<u8>) -> Option<Self> {
        let first = *input.first()?;
        let mut length = 0;
        let mut at = 1;
        loop {
            let byte = *input.get(at)?;
            length |= usize::from(byte & 0x7f) << (7 * (at - 1));
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if at == 5 {
                return None;
            }
        }
        if input.len() < at + length {
            return None;
        }
        let body = input.drain(..at + length).skip(at).collect();
        Some(Self { first, body })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut packet = vec![self.first];
        let mut length = self.body.len();
        loop {
            let byte = u8::try_from(length % 128).unwrap();
            length /= 128;
            packet.push(if length > 0 { byte | 0x80 } else { byte });
            if length == 0 {
                break;
            }
        }
        packet.extend_from_slice(&self.body);
        packet
    }

    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    pub(crate) fn is_publish(&self) -> bool {
        self.kind() == 3
    }

    pub(crate) fn qos(&self) -> u8 {
        self.first >> 1 & 3
    }

    /// The topic of a PUBLISH; empty if it is broken.
    pub(crate) fn topic(&self) -> &[u8] {
        counted(&self.body).unwrap_or_default()
    }

    /// A PUBLISH on another topic.
    pub(crate) fn with_topic(mut self, topic: &[u8]) -> Self {
        let rest = self.body.split_off(2 + self.topic().len());
        let length = u16::try_from(topic.len()).unwrap().to_be_bytes();
        self.body = [&length, topic, &rest].concat();
        self
    }

    /// Where the packet identifier is.
    pub(crate) fn id(&mut self) -> Option<&mut [u8]> {
        let at = if self.is_publish() {
            2 + self.topic().len()
        } else {
            0
        };
        self.body.get_mut(at..at + 2)
    }
}

fn counted(bytes: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
    bytes.get(2..2 + usize::from(length))
}

/// A CONNECT taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Connect {
    pub(crate) flags: u8,
    /// Client id, then will topic and message, user name and password as flagged.
    pub(crate) fields: Vec<Vec<u8>>,
    head: Vec<u8>,
    keep_alive: Vec<u8>,
}

impl Connect {
    /// `None` if it is another packet or a broken one.
    pub(crate) fn of(packet: &Packet) -> Option<Self> {
        if packet.kind() != 1 {
            return None;
        }
        let name = counted(&packet.body)?.len();
        let head = packet.body.get(..name + 3)?.to_vec();
        let flags = *packet.body.get(name + 3)?;
        let keep_alive = packet.body.get(name + 4..name + 6)?.to_vec();
        let mut rest = packet.body.get(name + 6..)?;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let field = counted(rest)?;
            rest = rest.get(2 + field.len()..)?;
            fields.push(field.to_vec());
        }
        (!fields.is_empty()).then_some(Self {
            flags,
            fields,
            head,
            keep_alive,
        })
    }

    pub(crate) fn packet(self) -> Packet {
        let mut body = [&*self.head, &[self.flags], &self.keep_alive].concat();
        for field in self.fields {
            let length = u16::try_from(field.len()).unwrap();
            body.extend_from_slice(&length.to_be_bytes());
            body.extend(field);
        }
        Packet { first: 0x10, body }
    }

    /// The will flags and fields, taken out.
    pub(crate) fn take_will(&mut self) -> Option<(u8, Vec<Vec<u8>>)> {
        if self.flags & 4 == 0 || self.fields.len() < 3 {
            return None;
        }
        let flags = self.flags & 0x3c;
        self.flags &= !0x3c;
        Some((flags, self.fields.drain(1..3).collect()))
    }
}
