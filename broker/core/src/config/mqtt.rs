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
    /// Where the pages may come from whose browsers may connect over WebSocket, such as
    /// `https://app.example`; `*` = anywhere. Empty = anywhere, but nowhere with an
    /// `anonymous_app`. Clients that are no browsers name no origin and are not asked.
    pub ws_origins: Vec<String>,
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
    /// How often `$SYS/#` tells an app's server how its app does, seconds; 0 = never.
    pub sys_interval: u16,
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
            ws_origins: Vec::new(),
            tls_listen: None,
            tls: None,
            anonymous_app: None,
            response_information: None,
            server_keep_alive: 0,
            max_keep_alive: 1800,
            connect_timeout: 10,
            max_session_expiry: 7 * 24 * 3600,
            sys_interval: 10,
            wills_on_stop: true,
            stop_grace: 10,
        }
    }
}

impl MqttConfig {
    /// Whether a page from this origin may connect.
    ///
    /// A browser keeps no credentials for MQTT, so a page has only those that it brings and can do
    /// nothing in somebody else's name. But where nobody needs any, a page that somebody happens
    /// to look at would reach a broker that only listens to that person's own machine.
    pub(crate) fn takes_origin(&self, origin: &str) -> bool {
        if self.ws_origins.is_empty() {
            return self.anonymous_app.is_none();
        }
        let listed = |one: &String| one == "*" || one.eq_ignore_ascii_case(origin);
        self.ws_origins.iter().any(listed)
    }
}

/// Whether a browser could name it: `scheme://host` with a port if it is not the usual one, or
/// `null` for pages of no origin.
pub(super) fn is_origin(origin: &str) -> bool {
    if ["*", "null"].contains(&origin) {
        return true;
    }
    let Some((scheme, host)) = origin.split_once("://") else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte);
    !scheme.is_empty() && !host.is_empty() && origin_bytes(scheme, host).all(plain)
}

fn origin_bytes<'a>(scheme: &'a str, host: &'a str) -> impl Iterator<Item = u8> + 'a {
    scheme.bytes().chain(host.bytes())
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
