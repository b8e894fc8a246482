//! Sockets that clients connect to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::broker::{Addresses, StartError};
use crate::connection;
use crate::kernel::Kernel;
use crate::metrics::{ListenerKind, NoConnect};
use crate::transport::{Certificate, Transport, accept_websocket};

/// Pause after an accept that failed, which is mostly for want of file descriptors.
const BACKOFF: Duration = Duration::from_millis(100);

/// What comes before MQTT on a listener.
#[derive(Clone)]
enum Wrap {
    Nothing,
    Tls(TlsAcceptor),
    WebSocket,
}

/// The bound MQTT listeners.
pub(crate) struct Listeners {
    bound: Vec<(Wrap, TcpListener, SocketAddr)>,
    certificate: Option<Arc<Certificate>>,
}

impl Listeners {
    pub(crate) async fn bind(kernel: &Kernel) -> Result<Self, StartError> {
        let mqtt = &kernel.config.mqtt;
        let mut bound = vec![
            bind("mqtt", Wrap::Nothing, mqtt.listen).await?,
            bind("ws", Wrap::WebSocket, mqtt.ws_listen).await?,
        ];
        let mut certificate = None;
        // The configuration was checked: an address comes with its certificate.
        if let Some((address, tls)) = mqtt.tls_listen.zip(mqtt.tls.as_ref()) {
            let read = Certificate::read(tls)?;
            let acceptor = read.acceptor(tls)?;
            bound.push(bind("mqtts", Wrap::Tls(acceptor), address).await?);
            certificate = Some(read);
        }
        Ok(Self { bound, certificate })
    }

    pub(crate) fn addresses(&self, http: SocketAddr) -> Addresses {
        let of = |wanted: fn(&Wrap) -> bool| {
            self.bound
                .iter()
                .find(|(wrap, ..)| wanted(wrap))
                .map(|(.., address)| *address)
        };
        Addresses {
            mqtt: of(|wrap| matches!(wrap, Wrap::Nothing)).unwrap_or(http),
            mqtts: of(|wrap| matches!(wrap, Wrap::Tls(_))),
            ws: of(|wrap| matches!(wrap, Wrap::WebSocket)).unwrap_or(http),
            http,
        }
    }

    /// What the TLS listener uses, if there is one.
    pub(crate) fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// Accepts until the broker stops.
    pub(crate) fn accept(self, kernel: &Arc<Kernel>) {
        for (wrap, listener, _) in self.bound {
            kernel
                .connections
                .spawn_until_stop(accept(Arc::clone(kernel), wrap, listener));
        }
    }
}

async fn bind(
    what: &'static str,
    wrap: Wrap,
    address: SocketAddr,
) -> Result<(Wrap, TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        what,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((wrap, listener, address))
}

async fn accept(kernel: Arc<Kernel>, wrap: Wrap, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => open(&kernel, &wrap, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

fn open(kernel: &Arc<Kernel>, wrap: &Wrap, stream: TcpStream, peer: SocketAddr) {
    let open = kernel.open_connections.fetch_add(1, Ordering::Relaxed);
    let slot = OpenConnection(Arc::clone(kernel));
    kernel.metrics.accepted(wrap.kind());
    if open >= kernel.config.limits.connections {
        kernel.metrics.no_connect(NoConnect::Limit);
        tracing::warn!(%peer, open, "the limit of connections is reached");
        return;
    }
    // Small packets are answered at once; a socket that cannot do so still works.
    let _ = stream.set_nodelay(true);
    let wrap = wrap.clone();
    kernel.spawn_socket(async move {
        let kernel = &slot.0;
        // One time limit from the first byte to the CONNACK.
        let limit = Duration::from_secs(kernel.config.mqtt.connect_timeout.into());
        let deadline = Instant::now() + limit;
        let wrapping = timeout_at(deadline, Box::pin(wrap.apply(stream, kernel)));
        match kernel.stopping.run_until_cancelled(wrapping).await {
            Some(Ok(Ok(transport))) => {
                connection::serve(Arc::clone(kernel), transport, peer, deadline).await;
            }
            Some(Ok(Err(error))) => {
                kernel.metrics.no_connect(NoConnect::Handshake);
                tracing::debug!(%peer, %error, "the handshake failed");
            }
            Some(Err(_)) => {
                kernel.metrics.no_connect(NoConnect::Timeout);
                tracing::debug!(%peer, "no handshake in time");
            }
            None => tracing::debug!(%peer, "the broker stops"),
        }
    });
}

impl Wrap {
    fn kind(&self) -> ListenerKind {
        match self {
            Self::Nothing => ListenerKind::Mqtt,
            Self::Tls(_) => ListenerKind::Mqtts,
            Self::WebSocket => ListenerKind::Ws,
        }
    }

    async fn apply(self, stream: TcpStream, kernel: &Kernel) -> std::io::Result<Transport> {
        Ok(match self {
            Self::Nothing => Box::new(stream),
            Self::Tls(acceptor) => Box::new(acceptor.accept(stream).await?),
            Self::WebSocket => {
                let limit = kernel.config.limits.packet_bytes;
                Box::new(accept_websocket(stream, limit, &kernel.config.mqtt).await?)
            }
        })
    }
}

/// Counts a connection for as long as it is open.
struct OpenConnection(Arc<Kernel>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}
