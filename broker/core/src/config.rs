//! The kernel's sections of the configuration. The binary's default file is their reference.

mod http;
mod limits;
mod mqtt;

use serde::{Deserialize, Serialize};

pub use http::HttpConfig;
pub use limits::{LimitsConfig, LimitsError};
pub use mqtt::{MqttConfig, TlsConfig};

/// All that the kernel reads; the binary embeds it in its own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrokerConfig {
    /// Listeners and the protocol.
    pub mqtt: MqttConfig,
    /// The HTTP listener.
    pub http: HttpConfig,
    /// What one client may use.
    pub limits: LimitsConfig,
}

/// Where data is kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:FILE` or `postgres://…`; empty = a SQLite file in the data folder.
    pub url: String,
}

impl std::fmt::Debug for DatabaseConfig {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseConfig")
    }
}
