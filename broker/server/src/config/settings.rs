//! The shape of the whole, plugins' tables aside.

use partyline_broker::{HttpConfig, LimitsConfig, MqttConfig};
use serde::Deserialize;

use super::LogConfig;
use super::database::DatabaseConfig;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) database: DatabaseConfig,
    pub(super) mqtt: MqttConfig,
    pub(super) http: HttpConfig,
    pub(super) limits: LimitsConfig,
    pub(super) log: LogConfig,
    pub(super) plugins: PluginTables,
}

/// `[plugins]`. The plugins themselves read their tables, which are passed over here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PluginTables {
    pub(super) enabled: Vec<String>,
}
