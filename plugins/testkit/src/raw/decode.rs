//! Packets from the broker.

use anyhow::{bail, ensure};
use bytes::{Buf, Bytes, BytesMut};

use super::{ConnAck, Packet, Properties, Publish, Version, need};

/// Takes a packet off the front; `None` while it is not all there.
pub(super) fn packet(version: Version, input: &mut BytesMut) -> anyhow::Result<Option<Packet>> {
    let mut peek = &input[..];
    if peek.is_empty() {
        return Ok(None);
    }
    let first = peek.get_u8();
    let before = peek.len();
    let Some(length) = variable(&mut peek) else {
        return Ok(None);
    };
    let header = 1 + before - peek.len();
    if peek.len() < length {
        return Ok(None);
    }
    let mut body = input.split_to(header + length).freeze();
    body.advance(header);
    Ok(Some(decode(version == Version::V5, first, body)?))
}

fn decode(v5: bool, first: u8, mut body: Bytes) -> anyhow::Result<Packet> {
    Ok(match first >> 4 {
        2 => {
            need(&body, 2)?;
            let session_present = body.get_u8() == 1;
            let code = body.get_u8();
            let properties = if v5 {
                properties(&mut body)?
            } else {
                Properties::default()
            };
            Packet::ConnAck(ConnAck {
                session_present,
                code,
                properties,
            })
        }
        3 => {
            let qos = first >> 1 & 3;
            let topic = text(&mut body)?;
            need(&body, usize::from(qos > 0) * 2)?;
            let id = if qos > 0 { body.get_u16() } else { 0 };
            let properties = if v5 {
                properties(&mut body)?
            } else {
                Properties::default()
            };
            let (dup, retain) = (first & 8 != 0, first & 1 != 0);
            Packet::Publish(Publish {
                topic,
                payload: body,
                qos,
                dup,
                retain,
                id,
                properties,
            })
        }
        kind @ 4..=7 => {
            need(&body, 2)?;
            let id = body.get_u16();
            let reason = if body.has_remaining() {
                body.get_u8()
            } else {
                0
            };
            if body.has_remaining() {
                let properties = properties(&mut body)?;
                if !properties.0.is_empty() {
                    return Ok(Packet::AckWith(kind, id, reason, properties));
                }
            }
            Packet::Ack(kind, id, reason)
        }
        kind @ (9 | 11) => {
            need(&body, 2)?;
            let id = body.get_u16();
            if v5 {
                properties(&mut body)?;
            }
            let codes = body.to_vec();
            if kind == 9 {
                Packet::SubAck(id, codes)
            } else {
                Packet::UnsubAck(id, codes)
            }
        }
        13 => Packet::PingResp,
        14 => {
            let reason = if body.has_remaining() {
                body.get_u8()
            } else {
                0
            };
            let properties = if body.has_remaining() {
                properties(&mut body)?
            } else {
                Properties::default()
            };
            Packet::Disconnect(reason, properties)
        }
        other => bail!("packet type {other} from a broker"),
    })
}

pub(super) fn text(body: &mut Bytes) -> anyhow::Result<String> {
    need(body, 2)?;
    let length = usize::from(body.get_u16());
    need(body, length)?;
    Ok(String::from_utf8(body.split_to(length).to_vec())?)
}

fn properties(body: &mut Bytes) -> anyhow::Result<Properties> {
    let Some(length) = variable(body) else {
        bail!("no property length")
    };
    need(body, length)?;
    let mut all = body.split_to(length);
    let mut found = Vec::new();
    while all.has_remaining() {
        let id = all.get_u8();
        let size = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
            0x13 | 0x21 | 0x22 | 0x23 => 2,
            0x02 | 0x11 | 0x18 | 0x27 => 4,
            0x0b => all.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1,
            0x26 => {
                let first = counted(&all)?;
                need(&all, first)?;
                first + counted(&all.slice(first..))?
            }
            _ => counted(&all)?,
        };
        need(&all, size)?;
        found.push((id, all.split_to(size)));
    }
    Ok(Properties(found))
}

/// Bytes of a string or binary value with its length.
fn counted(value: &Bytes) -> anyhow::Result<usize> {
    let mut value = value.clone();
    ensure!(value.remaining() >= 2, "a property is too short");
    Ok(2 + usize::from(value.get_u16()))
}

fn variable(from: &mut impl Buf) -> Option<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        if !from.has_remaining() {
            return None;
        }
        let byte = from.get_u8();
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
