//! rumqttd in this process, as a peer to compare with.

use std::collections::HashMap;
use std::net::SocketAddr;

use clap::Args;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

#[derive(Debug, Args)]
pub(crate) struct Peer {
    /// Its MQTT address.
    #[arg(long)]
    listen: SocketAddr,
}

impl Peer {
    /// Runs until the process is ended. The settings are those of its own example, where they do not
    /// stand in the way of a load.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let server = ServerSettings {
            name: "peer".to_owned(),
            listen: self.listen,
            tls: None,
            next_connection_delay_ms: 0,
            connections: ConnectionSettings {
                connection_timeout_ms: 60_000,
                max_payload_size: 256 * 1024,
                max_inflight_count: 100,
                auth: None,
                external_auth: None,
                dynamic_filters: true,
            },
        };
        let config = Config {
            router: RouterConfig {
                max_connections: 100_000,
                max_outgoing_packet_count: 200,
                max_segment_size: 100 * 1024 * 1024,
                max_segment_count: 10,
                ..RouterConfig::default()
            },
            v4: Some(HashMap::from([("peer".to_owned(), server)])),
            ..Config::default()
        };
        Broker::new(config).start()?;
        Ok(())
    }
}
