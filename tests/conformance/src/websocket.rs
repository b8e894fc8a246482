//! A WebSocket that sends the frames that it is told.

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use partyline_testkit::PATIENCE;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::{NotOffered, Stage};

const SUBPROTOCOL: &str = "sec-websocket-protocol";

/// What a broker sends, apart from WebSocket's own pings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A binary frame.
    Binary(Vec<u8>),
    /// A text frame.
    Text(String),
    /// The broker closed the connection, with a Close frame or without.
    End,
}

/// An open WebSocket.
pub(crate) struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    subprotocol: Option<String>,
}

impl WebSocket {
    /// Opens one and offers these subprotocols.
    pub(crate) async fn open(stage: &Stage, offered: &[&str]) -> anyhow::Result<Self> {
        let Some(address) = stage.broker.websocket else {
            bail!(NotOffered("WebSocket"))
        };
        let mut request = format!("ws://{address}/mqtt").into_client_request()?;
        let offered = HeaderValue::from_str(&offered.join(", "))?;
        request.headers_mut().insert(SUBPROTOCOL, offered);
        let stream = TcpStream::connect(address).await?;
        let (stream, response) = tokio_tungstenite::client_async(request, stream)
            .await
            .context("the broker refuses the WebSocket")?;
        let selected = response.headers().get(SUBPROTOCOL);
        let selected = selected.map(|value| value.to_str().map(str::to_owned));
        Ok(Self {
            stream,
            subprotocol: selected.transpose()?,
        })
    }

    /// The subprotocol that the broker selected.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self
            .stream
            .send(Message::Binary(bytes.to_vec().into()))
            .await?)
    }

    pub(crate) async fn send_text(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::Text(text.into())).await?)
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Frame> {
        let reading = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Binary(bytes))) => return Frame::Binary(bytes.to_vec()),
                    Some(Ok(Message::Text(text))) => return Frame::Text(text.to_string()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Frame::End,
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .context("no frame came in time")
    }

    /// The next bytes, at least this many, of binary frames.
    pub(crate) async fn bytes(&mut self, least: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < least {
            match self.next().await? {
                Frame::Binary(more) => bytes.extend(more),
                other => bail!("{other:?} after {bytes:02x?}"),
            }
        }
        Ok(bytes)
    }
}
