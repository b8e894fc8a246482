//! Starting and stopping the whole.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::Figment;
use partyline_plugin::database::Database;
use partyline_plugin::host::PluginFactory;
use partyline_plugin::services::Services;
use partyline_plugin::{Clock, Plugin};

use crate::config::{BrokerConfig, TlsConfig, Unusable};
use crate::kernel::Kernel;
use crate::listener::Listeners;
use crate::plugins::{ChainDescription, Host, HostError, ReloadError, ReloadOutcome};
use crate::transport::Certificate;
use crate::{http, sweeper};

/// How long what is cut may take to let go.
const CUT_TIME: Duration = Duration::from_secs(1);

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration.
    #[error("the configuration key {} cannot be used", .0.key())]
    Config(#[from] Unusable),
    /// A plugin, its configuration, its tables or its declarations.
    #[error(transparent)]
    Plugins(#[from] HostError),
    /// A listener.
    #[error("cannot listen on {address} ({what})")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// Its address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate or key.
    #[error("the TLS listener cannot use {}", file.display())]
    Tls {
        /// The file at fault.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The addresses that are really bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// MQTT over TLS.
    pub mqtts: Option<SocketAddr>,
    /// MQTT over WebSocket.
    pub ws: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
}

/// Collects what a broker is made of.
#[derive(Debug)]
pub struct Builder {
    config: BrokerConfig,
    figment: Figment,
    database: Database,
    data_dir: Arc<Path>,
    clock: Clock,
    plugins: Vec<PluginFactory>,
}

impl Builder {
    /// Adds a plugin. The order of adding is the order of hooks within a phase.
    #[must_use]
    pub fn plugin<P: Plugin>(self) -> Self {
        self.factory(PluginFactory::of::<P>())
    }

    /// Adds a plugin by its factory.
    #[must_use]
    pub fn factory(mut self, factory: PluginFactory) -> Self {
        self.plugins.push(factory);
        self
    }

    /// Uses this clock, which tests can move.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Migrates, builds the plugins, binds the listeners, and accepts connections.
    pub async fn start(self) -> Result<Broker, StartError> {
        self.config.check()?;
        let kernel = Arc::new(Kernel::new(self.config, self.clock));
        let mut host = Host::new(Arc::clone(&kernel), self.database, self.data_dir);
        host.build(self.plugins, &self.figment).await?;
        let routes = http::routes(&kernel, &host)?;
        let listeners = Listeners::bind(&kernel).await?;
        let (http_listener, http_address) = http::bind(&kernel).await?;
        let addresses = listeners.addresses(http_address);
        let certificate = listeners.certificate();
        host.run();
        sweeper::spawn(&kernel);
        listeners.accept(&kernel);
        http::serve(&kernel, http_listener, routes);
        Ok(Broker {
            kernel,
            host,
            addresses,
            certificate,
        })
    }
}

/// A running broker. Dropping it does not stop it: call [`Broker::stop`].
#[derive(Debug)]
pub struct Broker {
    kernel: Arc<Kernel>,
    host: Host,
    addresses: Addresses,
    certificate: Option<Arc<Certificate>>,
}

impl Broker {
    /// Begins a broker. `figment` holds the `[plugins.*]` tables.
    pub fn builder(
        config: BrokerConfig,
        figment: Figment,
        database: Database,
        data_dir: impl AsRef<Path>,
    ) -> Builder {
        let data_dir = Arc::from(data_dir.as_ref());
        let (clock, plugins) = (Clock::default(), Vec::new());
        Builder {
            config,
            figment,
            database,
            data_dir,
            clock,
            plugins,
        }
    }

    /// The addresses that are really bound.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What the plugins provide.
    pub fn services(&self) -> &Services {
        self.host.services()
    }

    /// Reads the TLS listener's files again, be they others than before. Handshakes from now on
    /// use them, and open connections go on. If they cannot be used, the error names the file and
    /// all stays as it was. False if there is no TLS listener.
    pub fn reload_certificate(&self, files: &TlsConfig) -> Result<bool, StartError> {
        let Some(certificate) = &self.certificate else {
            return Ok(false);
        };
        certificate.replace(files).map(|()| true)
    }

    /// What packets meet, and how it fares.
    pub fn describe(&self) -> ChainDescription {
        self.kernel.describe()
    }

    /// Hands a new configuration to the plugins. All tables are read and found valid first; then
    /// each plugin whose table has changed is asked to take it up, in order, and the others are
    /// not. The kernel's own sections are not looked at.
    pub async fn reload(
        &self,
        figment: &Figment,
    ) -> Result<Vec<(&'static str, ReloadOutcome)>, ReloadError> {
        self.host.reload(figment).await
    }

    /// Stops in order, in bounded time: no new connections, DISCONNECT 0x8B to all, wills as
    /// configured, commands and queues flushed, plugins stopped in reverse, database closed.
    pub async fn stop(mut self) {
        let grace = Duration::from_secs(self.kernel.config.mqtt.stop_grace.into());
        if tokio::time::timeout(grace, self.kernel.stop())
            .await
            .is_err()
        {
            tracing::warn!(
                grace_secs = grace.as_secs(),
                "connections are cut after the grace time"
            );
            // What still runs then is a command, or never comes to a point where it could end.
            let _ = tokio::time::timeout(CUT_TIME, self.kernel.cut()).await;
        }
        self.host.stop(grace).await;
    }
}
