//! A byte stream under MQTT: TCP, TLS or WebSocket.

mod tls;
mod websocket;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use tls::Certificate;
pub(crate) use websocket::accept as accept_websocket;

/// Any of them; boxed, so that the connection's code exists once.
pub(crate) type Transport = Box<dyn Duplex>;

/// Reads and writes bytes.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}
