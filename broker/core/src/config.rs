//! The kernel's sections of the configuration. The binary's default file is their reference.

mod check;
mod http;
mod limits;
mod mqtt;

use serde::{Deserialize, Serialize};

pub use check::Unusable;
pub use http::{AdminToken, HttpConfig};
pub use limits::LimitsConfig;
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
