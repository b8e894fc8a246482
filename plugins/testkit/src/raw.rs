//! A client that does exactly what it is told.

mod decode;
mod encode;
mod exchange;
mod packet;
mod requests;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub use encode::ConnectOptions;
pub use packet::{ConnAck, Packet, Properties, Property, Publish, Version};

use crate::PATIENCE;

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
}

/// Bytes of a body that are still to be read, or the error that it is too short.
fn need(body: &impl Buf, count: usize) -> anyhow::Result<()> {
    ensure!(body.remaining() >= count, "the packet is too short");
    Ok(())
}
