use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address of the HTTP listener; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Opens `/metrics` and `/v1/plugins` to whoever brings it. `None` = only to this machine.
    pub admin_token: Option<AdminToken>,
    /// How long a plugin's route may take to answer, seconds.
    pub request_timeout: u16,
    /// Largest body of a request to a plugin's route, bytes.
    pub body_bytes: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            admin_token: None,
            request_timeout: 30,
            body_bytes: 1024 * 1024,
        }
    }
}

/// The secret of who runs the broker. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AdminToken(String);

impl AdminToken {
    /// Fewest characters that are no invitation to guess.
    pub(super) const LEAST: usize = 16;

    /// Whether it can be one: long enough, and fit for a header.
    pub(super) fn is_usable(&self) -> bool {
        self.0.len() >= Self::LEAST && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Compares in a time that tells nothing but the length.
    pub(crate) fn is(&self, brought: &str) -> bool {
        self.0.as_bytes().ct_eq(brought.as_bytes()).into()
    }
}

impl From<String> for AdminToken {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

impl Serialize for AdminToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}
