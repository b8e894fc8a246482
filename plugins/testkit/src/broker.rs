//! A broker in the test's process.

use std::path::Path;

use anyhow::Context;
use figment::Figment;
use figment::providers::Serialized;
use partyline_broker::{
    Addresses, Broker, BrokerConfig, ChainDescription, ReloadError, ReloadOutcome, StartError,
    TlsConfig,
};
use partyline_plugin::database::Database;
use partyline_plugin::host::PluginFactory;
use partyline_plugin::services::Services;
use partyline_plugin::{Clock, Plugin};
use serde_json::Value;
use tempfile::TempDir;

use crate::{ConnectOptions, RawClient};

/// Collects what a test broker is made of.
#[derive(Debug)]
pub struct TestBrokerBuilder {
    config: BrokerConfig,
    figment: Figment,
    plugins: Vec<PluginFactory>,
    clock: Clock,
    database_url: Option<String>,
    folder: Option<TempDir>,
}

impl TestBrokerBuilder {
    /// Adds a plugin with its configuration, a JSON object.
    #[must_use]
    pub fn plugin<P: Plugin>(mut self, config: Value) -> Self {
        let key = format!("plugins.{}", P::ID);
        self.figment = self.figment.merge(Serialized::default(&key, config));
        self.plugins.push(PluginFactory::of::<P>());
        self
    }

    /// Changes the kernel's configuration.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Uses a clock that the test can move.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Uses this database instead of SQLite in a temporary folder.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database_url = Some(url.into());
        self
    }

    /// Keeps data in this folder, that of a broker stopped before.
    #[must_use]
    pub fn folder(mut self, folder: TempDir) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Starts it.
    pub async fn start(self) -> anyhow::Result<TestBroker> {
        let folder = match self.folder {
            Some(folder) => folder,
            None => tempfile::tempdir().context("no temporary folder")?,
        };
        let url = self
            .database_url
            .unwrap_or_else(|| sqlite_url(folder.path()));
        let database = Database::open(&url).await?;
        let mut builder =
            Broker::builder(self.config, self.figment, database.clone(), folder.path())
                .clock(self.clock.clone());
        for plugin in self.plugins {
            builder = builder.factory(plugin);
        }
        let broker = builder.start().await?;
        Ok(TestBroker {
            broker,
            folder,
            database,
            clock: self.clock,
        })
    }
}

fn sqlite_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("test.sqlite").display())
}

/// A running broker. Stop it at the end of the test, so that what stopping breaks is seen.
#[derive(Debug)]
pub struct TestBroker {
    broker: Broker,
    folder: TempDir,
    database: Database,
    clock: Clock,
}

impl TestBroker {
    /// Begins one on free ports of the loopback address.
    pub fn builder() -> TestBrokerBuilder {
        let mut config = BrokerConfig::default();
        config.mqtt.listen.set_port(0);
        config.mqtt.ws_listen.set_port(0);
        config.http.listen.set_port(0);
        TestBrokerBuilder {
            config,
            figment: Figment::new(),
            plugins: Vec::new(),
            clock: Clock::default(),
            database_url: None,
            folder: None,
        }
    }

    /// The addresses that are bound.
    pub fn addresses(&self) -> Addresses {
        self.broker.addresses()
    }

    /// What packets meet, and how it fares.
    pub fn describe(&self) -> ChainDescription {
        self.broker.describe()
    }

    /// Hands new configurations to the plugins: a JSON object by plugin id. What is not named has
    /// no table.
    pub async fn reload(
        &self,
        plugins: Value,
    ) -> Result<Vec<(&'static str, ReloadOutcome)>, ReloadError> {
        let figment = Figment::from(Serialized::default("plugins", plugins));
        self.broker.reload(&figment).await
    }

    /// The database that the plugins use.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What the plugins provide.
    pub fn services(&self) -> &Services {
        self.broker.services()
    }

    /// The clock that the plugins use.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the TLS listener's files again, be they others than before.
    pub fn reload_certificate(&self, files: &TlsConfig) -> Result<bool, StartError> {
        self.broker.reload_certificate(files)
    }

    /// Connects a client and expects to be let in.
    pub async fn client(&self, options: ConnectOptions) -> anyhow::Result<RawClient> {
        let mut client = RawClient::open(self.addresses().mqtt, options.version).await?;
        let connack = client.connect(&options).await?;
        anyhow::ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
        Ok(client)
    }

    /// Stops it and gives its data folder back, for a restart.
    pub async fn stop(self) -> TempDir {
        self.broker.stop().await;
        self.folder
    }
}
