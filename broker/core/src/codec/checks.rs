//! Rules of the standard that the codec library does not check.

use partyline_plugin::{MessageProperties, ProtocolVersion, Reason};

use super::FrameError;

pub(super) const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

const MESSAGE_EXPIRY: u8 = 0x02;
const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
const TOPIC_ALIAS: u8 = 0x23;

/// Checks a packet's first byte and body before they are decoded.
pub(super) fn check_raw(
    version: ProtocolVersion,
    first_byte: u8,
    body: &[u8],
) -> Result<(), FrameError> {
    let malformed = |detail: &str| Err(FrameError::new(Reason::MalformedPacket, detail));
    match first_byte >> 4 {
        // [MQTT-3.3.1-2]
        PUBLISH if first_byte & 0b0000_1110 == 0b0000_1000 => malformed("DUP on a QoS 0 PUBLISH"),
        PUBLISH if version == ProtocolVersion::V5 => check_alias(first_byte, body),
        PINGREQ if !body.is_empty() => malformed("PINGREQ with a body"),
        DISCONNECT if version != ProtocolVersion::V5 && !body.is_empty() => {
            malformed("DISCONNECT with a body")
        }
        // [MQTT-3.8.3-4]: the library masks the reserved bits away.
        SUBSCRIBE if version != ProtocolVersion::V5 => check_subscribe_options(body),
        SUBSCRIBE => check_subscription_id(body),
        _ => Ok(()),
    }
}

fn check_subscribe_options(body: &[u8]) -> Result<(), FrameError> {
    let mut rest = body.get(2..).unwrap_or_default();
    while let [high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((options, tail)) = tail.get(length..).and_then(<[u8]>::split_first) else {
            break;
        };
        if options & 0b1111_1100 != 0 {
            let detail = "reserved bits in the options of a SUBSCRIBE";
            return Err(FrameError::new(Reason::MalformedPacket, detail));
        }
        rest = tail;
    }
    Ok(())
}

/// MQTT 5 §3.8.2.1.2: the library calls a 0 malformed.
fn check_subscription_id(body: &[u8]) -> Result<(), FrameError> {
    let mut rest = body.get(2..).unwrap_or_default();
    let section = take_properties(&mut rest).unwrap_or_default();
    let value = find_property(section, SUBSCRIPTION_IDENTIFIER).and_then(|at| section.get(at));
    if value == Some(&0) {
        let detail = "subscription identifier 0";
        return Err(FrameError::new(Reason::ProtocolError, detail));
    }
    Ok(())
}

/// The version that a CONNECT names; `None` for any we do not speak.
pub(super) fn version_of(body: &[u8]) -> Option<ProtocolVersion> {
    const V31: &[u8] = b"\x00\x06MQIsdp\x03";
    const V311: &[u8] = b"\x00\x04MQTT\x04";
    const V5: &[u8] = b"\x00\x04MQTT\x05";
    match body {
        body if body.starts_with(V31) => Some(ProtocolVersion::V31),
        body if body.starts_with(V311) => Some(ProtocolVersion::V311),
        body if body.starts_with(V5) => Some(ProtocolVersion::V5),
        _ => None,
    }
}

/// Steps over a string or binary field with its length in front.
fn skip_field(rest: &mut &[u8]) -> Option<()> {
    let (length, tail) = rest.split_first_chunk()?;
    *rest = tail.get(usize::from(u16::from_be_bytes(*length))..)?;
    Some(())
}

/// Takes a property section.
fn take_properties<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for index in 0..4 {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let (section, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            return Some(section);
        }
    }
    None
}

/// Where the last byte of a Message Expiry Interval of 0 stands in the body of a PUBLISH.
pub(super) fn zero_expiry_of_publish(first_byte: u8, body: &[u8]) -> Option<usize> {
    zero_expiry(body, &mut from_properties(first_byte, body)?)
}

/// The body of a PUBLISH from its property section on.
fn from_properties(first_byte: u8, body: &[u8]) -> Option<&[u8]> {
    let mut rest = body;
    skip_field(&mut rest)?;
    let id = if first_byte & 0b0110 == 0 { 0 } else { 2 };
    rest.get(id..)
}

/// MQTT 5 §3.3.2.3.4: the library calls a 0 malformed.
fn check_alias(first_byte: u8, body: &[u8]) -> Result<(), FrameError> {
    let mut rest = from_properties(first_byte, body).unwrap_or_default();
    let section = take_properties(&mut rest).unwrap_or_default();
    let value = find_property(section, TOPIC_ALIAS).and_then(|at| section.get(at..));
    if value.is_some_and(|value| value.starts_with(&[0; 2])) {
        let detail = "topic alias 0";
        return Err(FrameError::new(Reason::TopicAliasInvalid, detail));
    }
    Ok(())
}

/// The same for the property section that `rest`, the end of `body`, begins with.
fn zero_expiry(body: &[u8], rest: &mut &[u8]) -> Option<usize> {
    let section = take_properties(rest)?;
    let at = find_property(section, MESSAGE_EXPIRY)?;
    let begin = body.len() - rest.len() - section.len();
    let zero = section.get(at..)?.starts_with(&[0; 4]);
    zero.then_some(begin + at + 3)
}

/// Where in the section the value of a property begins; of those that PUBLISH, a will and
/// SUBSCRIBE have.
fn find_property(section: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        let id = *section.get(at)?;
        let value = section.get(at + 1..)?;
        if id == wanted {
            return Some(at + 1);
        }
        let length = match id {
            0x01 => 1,
            TOPIC_ALIAS => 2,
            MESSAGE_EXPIRY | 0x18 => 4,
            0x03 | 0x08 | 0x09 => fields_len(value, 1)?,
            0x26 => fields_len(value, 2)?,
            SUBSCRIPTION_IDENTIFIER => {
                value.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1
            }
            // The library refuses it.
            _ => return None,
        };
        at += 1 + length;
    }
}

fn fields_len(value: &[u8], fields: usize) -> Option<usize> {
    let mut rest = value;
    for _ in 0..fields {
        skip_field(&mut rest)?;
    }
    Some(value.len() - rest.len())
}

/// [MQTT-3.3.2-14], and that a topic name is not empty.
pub(crate) fn check_response_topic(properties: &MessageProperties) -> Result<(), FrameError> {
    match properties.response_topic.as_deref() {
        Some(topic) if topic.is_empty() || topic.contains(['+', '#']) => {
            let detail = "a response topic that is no topic name";
            Err(FrameError::new(Reason::ProtocolError, detail))
        }
        _ => Ok(()),
    }
}

/// What a CONNECT's flags say; the body begins with the protocol name.
pub(super) struct ConnectFlags(u8);

impl ConnectFlags {
    /// The flags, if the body is long enough to have any.
    pub(super) fn of(body: &[u8]) -> Option<(usize, Self)> {
        let name = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
        let at = name + 3;
        body.get(at).map(|flags| (at, Self(*flags)))
    }

    pub(super) fn clean_start(&self) -> bool {
        self.0 & 0b10 != 0
    }

    /// Where the last byte of the will's Message Expiry Interval stands in the end of the body that
    /// follows the keep-alive, if the interval is 0.
    pub(super) fn zero_expiry_of_will(&self, payload: &[u8]) -> Option<usize> {
        if self.0 & 0b100 == 0 {
            return None;
        }
        let mut rest = payload;
        take_properties(&mut rest)?;
        skip_field(&mut rest)?;
        zero_expiry(payload, &mut rest)
    }

    /// Whether what follows the keep-alive is what the flags announce, and nothing else.
    pub(super) fn end_with_payload(&self, version: ProtocolVersion, mut rest: &[u8]) -> bool {
        let v5 = version == ProtocolVersion::V5;
        let has = |bit: u8| self.0 & bit != 0;
        let walk = |rest: &mut &[u8]| {
            if v5 {
                take_properties(rest)?;
            }
            skip_field(rest)?;
            if has(0b100) {
                if v5 {
                    take_properties(rest)?;
                }
                skip_field(rest)?;
                skip_field(rest)?;
            }
            for credential in [0x80, 0x40] {
                if has(credential) {
                    skip_field(rest)?;
                }
            }
            Some(())
        };
        walk(&mut rest).is_some() && rest.is_empty()
    }

    /// [MQTT-3.1.2-11], [MQTT-3.1.2-13], and for 3.1.1 [MQTT-3.1.2-22].
    pub(super) fn check(&self, version: ProtocolVersion) -> Result<(), FrameError> {
        let malformed = |detail: &str| Err(FrameError::new(Reason::MalformedPacket, detail));
        let (will, will_options) = (self.0 & 0b100 != 0, self.0 & 0b0011_1000);
        if !will && will_options != 0 {
            return malformed("will options without a will");
        }
        if will_options & 0b0001_1000 == 0b0001_1000 {
            return malformed("will QoS 3");
        }
        let (username, password) = (self.0 & 0x80 != 0, self.0 & 0x40 != 0);
        if version == ProtocolVersion::V311 && password && !username {
            return malformed("password without user name");
        }
        Ok(())
    }
}
