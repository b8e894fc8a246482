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

/// Decodes a packet and refuses whatever a broker may not send.
fn decode(v5: bool, first: u8, mut body: Bytes) -> anyhow::Result<Packet> {
    let (kind, flags) = (first >> 4, first & 0xf);
    let reserved = if kind == 6 { 2 } else { 0 };
    ensure!(
        kind == 3 || flags == reserved,
        "flags {flags:#x} in a packet of type {kind}"
    );
    let packet = match kind {
        2 => {
            need(&body, 2)?;
            let flags = body.get_u8();
            ensure!(flags <= 1, "acknowledge flags {flags:#x}");
            let session_present = flags == 1;
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
            let (dup, retain) = (first & 8 != 0, first & 1 != 0);
            ensure!(qos < 3, "a message with QoS 3");
            ensure!(!dup || qos > 0, "a message with QoS 0 and DUP");
            let topic = text(&mut body)?;
            ensure!(!topic.contains(['+', '#', '\0']), "a message on {topic:?}");
            need(&body, usize::from(qos > 0) * 2)?;
            let id = if qos > 0 { body.get_u16() } else { 0 };
            ensure!(qos == 0 || id > 0, "a message with packet identifier 0");
            let properties = if v5 {
                properties(&mut body)?
            } else {
                Properties::default()
            };
            Packet::Publish(Publish {
                topic,
                payload: std::mem::take(&mut body),
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
            let reason = if v5 && body.has_remaining() {
                body.get_u8()
            } else {
                0
            };
            if v5 && body.has_remaining() {
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
            let codes = if v5 || kind == 9 {
                std::mem::take(&mut body).to_vec()
            } else {
                Vec::new()
            };
            if kind == 9 {
                let known = |code: &u8| v5 || matches!(code, 0..=2 | 0x80);
                ensure!(codes.iter().all(known), "SUBACK with {codes:02x?}");
                Packet::SubAck(id, codes)
            } else {
                Packet::UnsubAck(id, codes)
            }
        }
        13 => Packet::PingResp,
        14 if v5 => {
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
    };
    ensure!(body.is_empty(), "bytes too many: {body:?} after {packet:?}");
    Ok(packet)
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
