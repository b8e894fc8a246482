//! A connection that shows the broker's packets as they are on the wire.

use anyhow::{Context, Result, bail, ensure};
use partyline_testkit::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wire;
use crate::Stage;

/// A packet as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    /// Packet type and flags.
    pub(super) first: u8,
    /// All after the fixed header.
    pub(super) body: Vec<u8>,
    /// Bytes with the fixed header.
    pub(super) size: usize,
}

impl Raw {
    /// The packet type.
    pub(super) fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The identifiers of the properties, in order.
    pub(super) fn properties(&self) -> Result<Vec<u8>> {
        let mut rest = &*self.body;
        let skipped = match self.kind() {
            3 => 2 + length(rest)? + usize::from(self.first & 6 != 0) * 2,
            4..=7 => 3,
            2 | 9 | 11 => 2,
            14 | 15 => 1,
            _ => return Ok(Vec::new()),
        };
        match rest.get(skipped..) {
            // An acknowledgement or a DISCONNECT may end before its properties.
            None | Some([]) => return Ok(Vec::new()),
            Some(tail) => rest = tail,
        }
        let size = variable(&mut rest)?;
        let mut section = rest.get(..size).context("properties cut short")?;
        let mut ids = Vec::new();
        while let [id, value @ ..] = section {
            ids.push(*id);
            let size = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => 1,
                0x13 | 0x21 | 0x22 | 0x23 => 2,
                0x02 | 0x11 | 0x18 | 0x27 => 4,
                0x0b => value.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1,
                0x26 => {
                    let name = 2 + length(value)?;
                    name + 2 + length(value.get(name..).unwrap_or_default())?
                }
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => 2 + length(value)?,
                _ => bail!("property {id:#04x} in {self:02x?}"),
            };
            section = value.get(size..).context("a property cut short")?;
        }
        Ok(ids)
    }
}

/// The length before a string.
fn length(value: &[u8]) -> Result<usize> {
    let (length, _) = value.split_first_chunk().context("no length")?;
    Ok(usize::from(u16::from_be_bytes(*length)))
}

fn variable(rest: &mut &[u8]) -> Result<usize> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, tail) = rest.split_first().context("no length")?;
        *rest = tail;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a length of more than four bytes")
}

/// A connection.
pub(super) struct Bare(TcpStream);

impl Bare {
    /// Opens it; nothing is sent yet.
    pub(super) async fn open(stage: &Stage) -> Result<Self> {
        Ok(Self(TcpStream::connect(stage.broker.mqtt).await?))
    }

    /// Connects with a clean start and these properties, and returns the CONNACK too.
    pub(super) async fn connected(
        stage: &Stage,
        name: &str,
        properties: &[u8],
    ) -> Result<(Self, Raw)> {
        let mut bare = Self::open(stage).await?;
        let id = wire::counted(stage.client_id(name).as_bytes());
        bare.send(0x10, &wire::connect(2, properties, &id)).await?;
        let connack = bare.next().await?.context("closed before a CONNACK")?;
        let accepted = connack.first == 0x20 && connack.body.get(1) == Some(&0);
        ensure!(accepted, "{connack:02x?}");
        Ok((bare, connack))
    }

    /// Sends a packet.
    pub(super) async fn send(&mut self, first: u8, body: &[u8]) -> Result<()> {
        self.send_bytes(&wire::packet(first, body)).await
    }

    /// Sends bytes as they are.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all(bytes).await?)
    }

    /// The next packet; `None` when the broker has closed the connection.
    pub(super) async fn next(&mut self) -> Result<Option<Raw>> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .context("no packet came in time")?
    }

    async fn read(&mut self) -> Result<Option<Raw>> {
        let Ok(first) = self.0.read_u8().await else {
            return Ok(None);
        };
        let (mut length, mut size) = (0, 1);
        loop {
            let byte = self.0.read_u8().await?;
            ensure!(size <= 4, "a length of more than four bytes");
            ensure!(size == 1 || byte != 0, "a length longer than it need be");
            length |= usize::from(byte & 0x7f) << (7 * (size - 1));
            size += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        let size = size + length;
        Ok(Some(Raw { first, body, size }))
    }

    /// PINGREQ, and all that comes before its PINGRESP.
    pub(super) async fn until_pong(&mut self) -> Result<Vec<Raw>> {
        self.send(0xc0, &[]).await?;
        let mut packets = Vec::new();
        loop {
            let packet = self.next().await?.context("closed before a PINGRESP")?;
            if packet.kind() == 13 {
                return Ok(packets);
            }
            packets.push(packet);
        }
    }

    /// All that comes before the broker closes the connection.
    pub(super) async fn until_closed(&mut self) -> Result<Vec<Raw>> {
        let mut packets = Vec::new();
        while let Some(packet) = self.next().await? {
            packets.push(packet);
        }
        Ok(packets)
    }
}
