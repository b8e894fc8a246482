//! MQTT over WebSocket: binary frames as a byte stream (MQTT 5 §6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::config::MqttConfig;

/// The subprotocol's name ([MQTT-6.0.0-3]); `mqttv3.1` is what 3.1 clients ask for.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// What a frame may hold beyond one packet of the largest size, bytes.
const FRAME_SLACK: usize = 64 * 1024;

/// Answers the WebSocket handshake. Fails if the client does not offer the subprotocol, or is a
/// page from an origin that is not taken.
pub(crate) async fn accept(
    stream: TcpStream,
    max_packet: u32,
    mqtt: &MqttConfig,
) -> io::Result<ByteStream> {
    // A frame may hold more than one packet ([MQTT-6.0.0-2]), so it may be larger than any.
    let max = max_packet as usize + FRAME_SLACK;
    let config = WebSocketConfig::default()
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    let answer = |request: &Request, response: Response| {
        check_origin(request, mqtt)?;
        choose_subprotocol(request, response)
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, answer, Some(config));
    let inner = accepted.await.map_err(io::Error::other)?;
    Ok(ByteStream {
        inner,
        unread: Bytes::new(),
    })
}

#[expect(clippy::result_large_err, reason = "the library's own signature")]
fn check_origin(request: &Request, mqtt: &MqttConfig) -> Result<(), ErrorResponse> {
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let taken = |origin: &HeaderValue| origin.to_str().is_ok_and(|it| mqtt.takes_origin(it));
    if origins.all(taken) {
        return Ok(());
    }
    tracing::info!("a page from an origin that is not in mqtt.ws_origins was refused");
    let text = "pages from this origin may not connect\n";
    Err(refusal(StatusCode::FORBIDDEN, text))
}

fn refusal(status: StatusCode, text: &str) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(Some(text.to_owned()));
    *refusal.status_mut() = status;
    refusal
}

#[expect(clippy::result_large_err, reason = "the library's own signature")]
fn choose_subprotocol(
    request: &Request,
    mut response: Response,
) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let chosen = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offer| {
            SUBPROTOCOLS
                .into_iter()
                .find(|known| *known == offer.trim())
        });
    let Some(chosen) = chosen else {
        let text = "the subprotocol must be mqtt\n";
        return Err(refusal(StatusCode::BAD_REQUEST, text));
    };
    let headers = response.headers_mut();
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(chosen),
    );
    Ok(response)
}

/// The payload of binary frames, in order. Packets may begin and end anywhere in them.
pub(crate) struct ByteStream {
    inner: WebSocketStream<TcpStream>,
    unread: Bytes,
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                // The library answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                // [MQTT-6.0.0-1]
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::other("a text frame")));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            }
        }
        let take = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(take));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(into_io)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.inner)
            .start_send(message)
            .map_err(into_io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(into_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx).map_err(into_io)
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}
