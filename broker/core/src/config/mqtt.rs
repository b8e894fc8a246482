use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use partyline_plugin::protocol::AppKey;
use serde::{Deserialize, Serialize};

/// `[mqtt]`. Addresses with port 0 pick a free port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttConfig {
    /// Plain TCP.
    pub listen: SocketAddr,
    /// WebSocket; every path, subprotocol `mqtt`.
    pub ws_listen: SocketAddr,
    /// TLS; needs `[mqtt.tls]`. `None` = off.
    pub tls_listen: Option<SocketAddr>,
    /// Certificate and key of the TLS listener.
    pub tls: Option<TlsConfig>,
    /// App whose plain topics clients without credentials may use. `None` = refused.
    pub anonymous_app: Option<AppKey>,
    /// Told to MQTT 5 clients that ask for Response Information: what their response topics begin
    /// with. `%a` is the app, `%u` the user and `%c` the client id; who lacks one is told nothing.
    /// `None` = told to nobody. What a client may use is up to the rules all the same.
    pub response_information: Option<String>,
    /// Keep-alive told to MQTT 5 clients in place of their own, seconds; 0 = keep theirs.
    pub server_keep_alive: u16,
    /// The longest keep-alive, seconds, and the one of clients that ask for none.
    pub max_keep_alive: u16,
    /// A connection that has not finished its CONNECT by then is closed, seconds.
    pub connect_timeout: u16,
    /// The longest a session is kept after its connection ended, seconds.
    pub max_session_expiry: u32,
    /// Whether wills are published when the broker stops.
    pub wills_on_stop: bool,
    /// How long a stop may take before connections are cut, seconds.
    pub stop_grace: u16,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 1883).into(),
            ws_listen: (Ipv4Addr::LOCALHOST, 8083).into(),
            tls_listen: None,
            tls: None,
            anonymous_app: None,
            response_information: None,
            server_keep_alive: 0,
            max_keep_alive: 1800,
            connect_timeout: 10,
            max_session_expiry: 7 * 24 * 3600,
            wills_on_stop: true,
            stop_grace: 10,
        }
    }
}

/// `[mqtt.tls]`: PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}
