//! A client that does exactly what it is told.

mod decode;
mod encode;
mod exchange;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub use encode::ConnectOptions;

use crate::PATIENCE;

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

/// The broker closed the connection, or takes nothing more. `is` finds it in an error.
#[derive(Debug, thiserror::Error)]
#[error("the broker closed the connection")]
pub struct ConnectionClosed;

/// What carries the packets: TCP, or anything that a test puts over it.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// One connection. Dropping it closes the socket without a DISCONNECT.
pub struct RawClient {
    stream: Box<dyn Duplex>,
    version: Version,
    input: BytesMut,
    next_id: u16,
    patience: Duration,
    /// Packets that came while another was waited for.
    waiting: VecDeque<Packet>,
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawClient({:?})", self.version)
    }
}

impl RawClient {
    /// Opens a socket; nothing is sent yet.
    pub async fn open(address: SocketAddr, version: Version) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream, version))
    }

    /// Speaks over a stream of the test's own, such as TLS; nothing is sent yet.
    pub fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        version: Version,
    ) -> Self {
        Self {
            stream: Box::new(stream),
            version,
            input: BytesMut::new(),
            next_id: 0,
            patience: PATIENCE,
            waiting: VecDeque::new(),
        }
    }

    /// Waits only so long for what must come, instead of [`PATIENCE`].
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The protocol that it speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        sent.await.context(ConnectionClosed)
    }

    /// Sends a packet with this first byte and body.
    pub async fn send_packet(&mut self, first: u8, body: &[u8]) -> anyhow::Result<()> {
        self.send_bytes(&encode::packet(first, body)).await
    }

    /// CONNECT, and the CONNACK that answers it.
    pub async fn connect(&mut self, options: &ConnectOptions) -> anyhow::Result<ConnAck> {
        self.send_bytes(&options.encode()).await?;
        match self.next().await? {
            Packet::ConnAck(connack) => Ok(connack),
            Packet::Closed => Err(ConnectionClosed).context("waiting for a CONNACK"),
            other => bail!("expected a CONNACK, got {other:?}"),
        }
    }

    /// The next packet that has not been looked at.
    pub async fn next(&mut self) -> anyhow::Result<Packet> {
        if let Some(packet) = self.waiting.pop_front() {
            return Ok(packet);
        }
        self.read().await
    }

    async fn read(&mut self) -> anyhow::Result<Packet> {
        let reading = async {
            loop {
                if let Some(packet) = decode::packet(self.version, &mut self.input)? {
                    return Ok(packet);
                }
                match self.stream.read_buf(&mut self.input).await {
                    Ok(0) | Err(_) => return Ok(Packet::Closed),
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(self.patience, reading)
            .await
            .context("no packet came in time")?
    }

    /// The next packet that `wanted` takes; others wait their turn.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Packet) -> Option<T>,
    ) -> anyhow::Result<T> {
        let found = self.waiting.iter().enumerate();
        if let Some((at, found)) = { found }.find_map(|(at, p)| wanted(p).map(|found| (at, found)))
        {
            self.waiting.remove(at);
            return Ok(found);
        }
        loop {
            let packet = self
                .read()
                .await
                .with_context(|| format!("waiting for {what}"))?;
            if let Some(found) = wanted(&packet) {
                return Ok(found);
            }
            if packet == Packet::Closed {
                return Err(ConnectionClosed).with_context(|| format!("waiting for {what}"));
            }
            self.waiting.push_back(packet);
        }
    }

    /// The next PUBLISH on a topic.
    pub async fn publish_on(&mut self, topic: &str) -> anyhow::Result<Publish> {
        self.wait_for(topic, |packet| match packet {
            Packet::Publish(publish) if publish.topic == topic => Some(publish.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a PUBLISH and returns its packet id, 0 at QoS 0.
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        qos: u8,
        retain: bool,
    ) -> anyhow::Result<u16> {
        let id = if qos == 0 { 0 } else { self.take_id() };
        let payload = payload.as_ref();
        self.send_publish(id, topic, payload, qos, retain, false, &[])
            .await?;
        Ok(id)
    }

    /// Sends a PUBLISH with everything given.
    #[expect(clippy::too_many_arguments, reason = "the fields of the packet")]
    pub async fn send_publish(
        &mut self,
        id: u16,
        topic: &str,
        payload: &[u8],
        qos: u8,
        retain: bool,
        dup: bool,
        properties: &[Property],
    ) -> anyhow::Result<()> {
        let first = 0x30 | u8::from(dup) << 3 | qos << 1 | u8::from(retain);
        let mut body = BytesMut::new();
        encode::text(&mut body, topic);
        if qos > 0 {
            body.extend_from_slice(&id.to_be_bytes());
        }
        if self.version == Version::V5 {
            encode::properties(&mut body, properties);
        }
        body.extend_from_slice(payload);
        self.send_bytes(&encode::packet(first, &body)).await
    }

    /// Sends an acknowledgement: packet type 4 to 7.
    pub async fn ack(&mut self, kind: u8, id: u16) -> anyhow::Result<()> {
        let flags = if kind == 6 { 2 } else { 0 };
        self.send_bytes(&encode::packet(kind << 4 | flags, &id.to_be_bytes()))
            .await
    }

    /// PUBACK.
    pub async fn puback(&mut self, id: u16) -> anyhow::Result<()> {
        self.ack(4, id).await
    }

    /// The reason of the acknowledgement with this packet type (4 to 7) and id.
    pub async fn acked(&mut self, kind: u8, id: u16) -> anyhow::Result<u8> {
        self.wait_for(
            &format!("packet type {kind} for {id}"),
            |packet| match packet {
                Packet::Ack(one, of, reason) | Packet::AckWith(one, of, reason, _)
                    if (*one, *of) == (kind, id) =>
                {
                    Some(*reason)
                }
                _ => None,
            },
        )
        .await
    }

    /// SUBSCRIBE, and the codes of the SUBACK.
    pub async fn subscribe(&mut self, filters: &[(&str, u8)]) -> anyhow::Result<Vec<u8>> {
        self.subscribe_with(filters, &[]).await
    }

    /// SUBSCRIBE with MQTT 5 properties, and the codes of the SUBACK.
    pub async fn subscribe_with(
        &mut self,
        filters: &[(&str, u8)],
        properties: &[Property],
    ) -> anyhow::Result<Vec<u8>> {
        let id = self.take_id();
        let mut body = self.with_id(id, properties);
        for (filter, options) in filters {
            encode::text(&mut body, filter);
            body.extend_from_slice(&[*options]);
        }
        self.send_bytes(&encode::packet(0x82, &body)).await?;
        self.wait_for("SUBACK", |packet| match packet {
            Packet::SubAck(of, codes) if *of == id => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// UNSUBSCRIBE, and the codes of the UNSUBACK (none before MQTT 5).
    pub async fn unsubscribe(&mut self, filters: &[&str]) -> anyhow::Result<Vec<u8>> {
        let id = self.take_id();
        let mut body = self.with_id(id, &[]);
        for filter in filters {
            encode::text(&mut body, filter);
        }
        self.send_bytes(&encode::packet(0xa2, &body)).await?;
        self.wait_for("UNSUBACK", |packet| match packet {
            Packet::UnsubAck(of, codes) if *of == id => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a command at QoS 1 and returns its reply, on `reply` in its namespace such as `$im/` or
    /// `$x/{plugin}/`, and the reason of the PUBACK.
    pub async fn request(&mut self, topic: &str, request: &Value) -> anyhow::Result<(Value, u8)> {
        let id = self.publish(topic, request.to_string(), 1, false).await?;
        let own = if topic.starts_with("$x/") { 2 } else { 1 };
        let end = topic.match_indices('/').nth(own - 1);
        let namespace = end.map_or(topic, |(end, _)| topic.get(..end).unwrap_or(topic));
        let reply = self.publish_on(&format!("{namespace}/reply")).await?;
        let reason = self.acked(4, id).await?;
        Ok((reply.json()?, reason))
    }

    /// Sends a command and expects it to succeed; returns its `ok`.
    pub async fn ok(&mut self, topic: &str, request: &Value) -> anyhow::Result<Value> {
        let (mut reply, reason) = self.request(topic, request).await?;
        ensure!(
            reason == 0,
            "{topic} was refused with {reason:#04x}: {reply}"
        );
        reply
            .get_mut("ok")
            .map(Value::take)
            .with_context(|| format!("no ok in {reply}"))
    }

    /// PINGREQ, and every packet that came before its PINGRESP: what the broker had to say by then.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        self.send_bytes(&[0xc0, 0]).await?;
        self.wait_for("PINGRESP", |packet| {
            (*packet == Packet::PingResp).then_some(())
        })
        .await
    }

    /// Packets that have come and were not asked for.
    pub fn unasked(&self) -> impl Iterator<Item = &Packet> {
        self.waiting.iter()
    }

    /// DISCONNECT with this reason, then the end of the connection.
    pub async fn disconnect(mut self, reason: u8) -> anyhow::Result<()> {
        let body: &[u8] = if self.version == Version::V5 {
            &[reason]
        } else {
            &[]
        };
        self.send_bytes(&encode::packet(0xe0, body)).await?;
        self.closed().await
    }

    /// Waits until the broker has closed the connection.
    pub async fn closed(&mut self) -> anyhow::Result<()> {
        self.wait_for("the end", |packet| {
            (*packet == Packet::Closed).then_some(())
        })
        .await
    }

    /// The reason of the DISCONNECT that the broker sends.
    pub async fn disconnected(&mut self) -> anyhow::Result<u8> {
        self.wait_for("DISCONNECT", |packet| match packet {
            Packet::Disconnect(reason, _) => Some(*reason),
            _ => None,
        })
        .await
    }

    /// The next packet id, counted up from 1.
    pub fn take_id(&mut self) -> u16 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    fn with_id(&self, id: u16, properties: &[Property]) -> BytesMut {
        let mut body = BytesMut::from(&id.to_be_bytes()[..]);
        if self.version == Version::V5 {
            encode::properties(&mut body, properties);
        }
        body
    }
}

/// Bytes of a body that are still to be read, or the error that it is too short.
fn need(body: &impl Buf, count: usize) -> anyhow::Result<()> {
    ensure!(body.remaining() >= count, "the packet is too short");
    Ok(())
}
