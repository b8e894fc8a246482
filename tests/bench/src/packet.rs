//! As much of MQTT 3.1.1 as a load needs, written for speed: frames are looked at where they lie.

use anyhow::{Context, bail, ensure};

/// A message's first bytes: its flow, its number in the flow, and when it was sent.
pub(crate) const STAMP: usize = 20;

/// One whole packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// Type and flags.
    pub(crate) first: u8,
    /// What follows the remaining length.
    pub(crate) body: &'a [u8],
}

/// A PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) topic: &'a [u8],
    /// 0 at QoS 0.
    pub(crate) id: u16,
    pub(crate) payload: &'a [u8],
}

/// What a payload begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) flow: u32,
    /// From 0, counted in the flow.
    pub(crate) number: u64,
    /// Nanoseconds since the generator began.
    pub(crate) sent: u64,
}

impl<'a> Frame<'a> {
    /// The first packet of `bytes`, and how many bytes it takes; `None` while it is not all there.
    pub(crate) fn first(bytes: &'a [u8]) -> anyhow::Result<Option<(Self, usize)>> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let mut length = 0;
        for (index, byte) in rest.iter().take(4).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let header = index + 2;
                let body = bytes.get(header..header + length);
                return Ok(body.map(|body| {
                    (
                        Self {
                            first: *first,
                            body,
                        },
                        header + length,
                    )
                }));
            }
        }
        ensure!(rest.len() < 4, "a remaining length over four bytes");
        Ok(None)
    }

    /// The packet type, 1 to 15.
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    pub(crate) fn qos(&self) -> u8 {
        self.first >> 1 & 3
    }

    /// The packet id that an acknowledgement begins with.
    pub(crate) fn id(&self) -> anyhow::Result<u16> {
        let (id, _) = u16_of(self.body)?;
        Ok(id)
    }

    pub(crate) fn publish(&self) -> anyhow::Result<Publish<'a>> {
        let (topic, rest) = string_of(self.body)?;
        let (id, payload) = match self.qos() {
            0 => (0, rest),
            _ => u16_of(rest)?,
        };
        Ok(Publish { topic, id, payload })
    }

    /// Fails if a CONNACK refuses.
    pub(crate) fn check_connack(&self) -> anyhow::Result<()> {
        match self.body {
            [_, 0] => Ok(()),
            [_, code] => bail!("refused with {code}"),
            _ => bail!("a malformed CONNACK"),
        }
    }

    /// Fails if a SUBACK does not grant all at this QoS.
    pub(crate) fn check_suback(&self, qos: u8) -> anyhow::Result<()> {
        let codes = self.body.get(2..).context("a malformed SUBACK")?;
        ensure!(
            !codes.is_empty() && codes.iter().all(|code| *code == qos),
            "not granted at QoS {qos}: {codes:?}"
        );
        Ok(())
    }
}

/// Two bytes, and what follows.
pub(crate) fn u16_of(bytes: &[u8]) -> anyhow::Result<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().context("a short packet")?;
    Ok((u16::from_be_bytes(*number), rest))
}

/// A string with its length, and what follows.
pub(crate) fn string_of(bytes: &[u8]) -> anyhow::Result<(&[u8], &[u8])> {
    let (length, rest) = u16_of(bytes)?;
    rest.split_at_checked(length.into())
        .context("a short packet")
}

impl Stamp {
    pub(crate) fn of(payload: &[u8]) -> anyhow::Result<Self> {
        let short = "a payload that is not ours";
        let (flow, rest) = payload.split_first_chunk().context(short)?;
        let (number, rest) = rest.split_first_chunk().context(short)?;
        let (sent, _) = rest.split_first_chunk().context(short)?;
        Ok(Self {
            flow: u32::from_be_bytes(*flow),
            number: u64::from_be_bytes(*number),
            sent: u64::from_be_bytes(*sent),
        })
    }
}

fn header(first: u8, mut length: usize, out: &mut Vec<u8>) {
    out.push(first);
    loop {
        let byte = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// CONNECT with a clean session.
pub(crate) fn connect(client_id: &str, login: Option<(&str, &str)>, out: &mut Vec<u8>) {
    /// Seconds; longer than any scenario, so that no PINGREQ disturbs it.
    const KEEP_ALIVE: u16 = 1800;
    let (flags, login_len) = match login {
        Some((name, password)) => (0xc2, 4 + name.len() + password.len()),
        None => (0x02, 0),
    };
    header(0x10, 12 + client_id.len() + login_len, out);
    string("MQTT", out);
    out.extend_from_slice(&[4, flags]);
    out.extend_from_slice(&KEEP_ALIVE.to_be_bytes());
    string(client_id, out);
    if let Some((name, password)) = login {
        string(name, out);
        string(password, out);
    }
}

pub(crate) fn subscribe(id: u16, filters: &[String], qos: u8, out: &mut Vec<u8>) {
    let length = filters.iter().map(|filter| filter.len() + 3).sum::<usize>();
    header(0x82, 2 + length, out);
    out.extend_from_slice(&id.to_be_bytes());
    for filter in filters {
        string(filter, out);
        out.push(qos);
    }
}

/// PUBLISH with so many bytes of payload, [`STAMP`] at least; QoS 1 where there is a packet id.
pub(crate) fn publish(
    topic: &str,
    id: Option<u16>,
    stamp: Stamp,
    payload: usize,
    out: &mut Vec<u8>,
) {
    let payload = payload.max(STAMP);
    let (first, id_len) = if id.is_some() { (0x32, 2) } else { (0x30, 0) };
    header(first, 2 + topic.len() + id_len + payload, out);
    string(topic, out);
    if let Some(id) = id {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(&stamp.flow.to_be_bytes());
    out.extend_from_slice(&stamp.number.to_be_bytes());
    out.extend_from_slice(&stamp.sent.to_be_bytes());
    out.resize(out.len() + payload - STAMP, b'.');
}

pub(crate) fn puback(id: u16, out: &mut Vec<u8>) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[0x40, 2, high, low]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_read_as_it_was_written() {
        let stamp = Stamp {
            flow: 7,
            number: 1 << 40,
            sent: 3,
        };
        for (id, payload) in [(None, 0), (Some(9), 300)] {
            let mut bytes = Vec::new();
            publish("a/b", id, stamp, payload, &mut bytes);
            for cut in 0..bytes.len() {
                assert!(Frame::first(&bytes[..cut]).unwrap().is_none());
            }
            bytes.push(0xd0);
            let (frame, taken) = Frame::first(&bytes).unwrap().unwrap();
            assert_eq!(taken, bytes.len() - 1);
            assert_eq!((frame.kind(), frame.qos()), (3, u8::from(id.is_some())));
            let read = frame.publish().unwrap();
            assert_eq!((read.topic, read.id), (&b"a/b"[..], id.unwrap_or(0)));
            assert_eq!(read.payload.len(), payload.max(STAMP));
            assert_eq!(Stamp::of(read.payload).unwrap(), stamp);
        }
    }

    #[test]
    fn a_fifth_length_byte_is_an_error() {
        assert!(Frame::first(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(Frame::first(&[0x30, 0xff, 0xff, 0xff]).unwrap().is_none());
    }
}
