//! A broker in the test's process.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
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

use crate::{ConnectOptions, HttpClient, RawClient};

/// Collects what a test broker is made of.
#[derive(Debug)]
pub struct TestBrokerBuilder {
    recipe: Recipe,
    folder: Option<TempDir>,
}

/// What a broker is made of, for as many times as it is started.
#[derive(Debug, Clone)]
struct Recipe {
    config: BrokerConfig,
    figment: Figment,
    plugins: Vec<fn() -> PluginFactory>,
    clock: Clock,
    database_url: Option<String>,
}

impl TestBrokerBuilder {
    /// Adds a plugin with its configuration, a JSON object.
    #[must_use]
    pub fn plugin<P: Plugin>(mut self, config: Value) -> Self {
        let key = format!("plugins.{}", P::ID);
        let figment = std::mem::take(&mut self.recipe.figment);
        self.recipe.figment = figment.merge(Serialized::default(&key, config));
        self.recipe.plugins.push(PluginFactory::of::<P>);
        self
    }

    /// Adds a plugin whose configuration is in [`TestBrokerBuilder::toml`], or that needs none.
    #[must_use]
    pub fn plugin_from_toml<P: Plugin>(mut self) -> Self {
        self.recipe.plugins.push(PluginFactory::of::<P>);
        self
    }

    /// Adds `[plugins.*]` tables as an operator writes them. What is wrong with them is said at the
    /// start.
    #[must_use]
    pub fn toml(mut self, tables: &str) -> Self {
        let figment = std::mem::take(&mut self.recipe.figment);
        self.recipe.figment = figment.merge(Toml::string(tables));
        self
    }

    /// Changes the kernel's configuration.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        change(&mut self.recipe.config);
        self
    }

    /// Uses a clock that the test can move.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.recipe.clock = clock;
        self
    }

    /// Uses this database instead of SQLite in a temporary folder.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.recipe.database_url = Some(url.into());
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
        self.recipe.start(folder).await
    }
}

impl Recipe {
    async fn start(self, folder: TempDir) -> anyhow::Result<TestBroker> {
        let made = self.clone();
        let url = made
            .database_url
            .unwrap_or_else(|| sqlite_url(folder.path()));
        let database = Database::open(&url).await?;
        let mut builder =
            Broker::builder(made.config, made.figment, database.clone(), folder.path())
                .clock(made.clock);
        for plugin in made.plugins {
            builder = builder.factory(plugin());
        }
        let broker = builder.start().await?;
        Ok(TestBroker {
            broker,
            folder,
            database,
            recipe: self,
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
    recipe: Recipe,
}

impl TestBroker {
    /// Begins one on free ports of the loopback address.
    pub fn builder() -> TestBrokerBuilder {
        let mut config = BrokerConfig::default();
        config.mqtt.listen.set_port(0);
        config.mqtt.ws_listen.set_port(0);
        config.http.listen.set_port(0);
        TestBrokerBuilder {
            recipe: Recipe {
                config,
                figment: Figment::new(),
                plugins: Vec::new(),
                clock: Clock::default(),
                database_url: None,
            },
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
        &self.recipe.clock
    }

    /// Moves the clock that the plugins use forward. Timers of the broker itself go on as before.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.recipe.clock.advance_ms(by);
    }

    /// A client of its HTTP listener.
    pub fn http(&self) -> HttpClient {
        HttpClient::new(self.addresses().http)
    }

    /// What [`TestBroker::reload`] does with another configuration of one plugin.
    pub async fn reload_with(
        &self,
        plugin: &str,
        config: Value,
    ) -> Result<Vec<(&'static str, ReloadOutcome)>, ReloadError> {
        let key = format!("plugins.{plugin}");
        let figment = self.recipe.figment.clone();
        // In place of the table, not over it.
        let mut tables: figment::value::Dict = figment.extract_inner("plugins").unwrap_or_default();
        tables.remove(plugin);
        let others = Figment::from(Serialized::default("plugins", tables));
        let figment = others.merge(Serialized::default(&key, config));
        self.broker.reload(&figment).await
    }

    /// Stops it and starts it again, on the same data and with the same plugins, on other ports.
    pub async fn restart(self) -> anyhow::Result<Self> {
        self.broker.stop().await;
        self.recipe.start(self.folder).await
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
