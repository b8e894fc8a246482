//! A plugin without a broker: built, registered and called by the test itself.
//!
//! ```
//! use std::sync::Arc;
//!
//! use partyline_plugin::{
//!     FilterOptions, HookResult, Message, Phase, Plugin, PluginContext, PublishFilter, Reason,
//!     Registrar, Scope, SessionInfo, Verdict, async_trait,
//! };
//! use partyline_testkit::{TestContext, message};
//! use serde_json::json;
//!
//! /// Refuses what is too long.
//! struct Short;
//!
//! #[async_trait]
//! impl PublishFilter for Short {
//!     async fn on_publish(&self, _: &SessionInfo, message: &mut Message) -> HookResult<Verdict> {
//!         Ok(match message.payload.len() {
//!             ..=100 => Verdict::Next,
//!             _ => Verdict::reject(Reason::PacketTooLarge),
//!         })
//!     }
//! }
//!
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Config {}
//! #[async_trait]
//! impl Plugin for Short {
//!     const ID: &'static str = "short";
//!     type Config = Config;
//!
//!     async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
//!         Ok(Self)
//!     }
//!
//!     fn register(self: &Arc<Self>, registrar: &mut Registrar) {
//!         let options = FilterOptions::default();
//!         registrar.publish_filter(Phase::Validate, Scope::Plain, options, self.clone());
//!     }
//! }
//!
//! # async fn test() -> anyhow::Result<()> {
//! let context = TestContext::new().await?;
//! let short = context.build::<Short>(json!({})).await?;
//! let alice = context.broker().connect("alice");
//! let verdict = short.publish(&alice, &mut message("news", "x")).await?;
//! assert_eq!(verdict, Verdict::Next);
//! let verdict = short.publish(&alice, &mut message("news", vec![0; 101])).await?;
//! assert_eq!(verdict, Verdict::reject(Reason::PacketTooLarge));
//! context.stop().await
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
//! #     .block_on(test()).unwrap();
//! ```

mod fake;
mod plugin;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use figment::Figment;
use figment::providers::Serialized;
use partyline_plugin::database::Database;
use partyline_plugin::host::{DynPlugin, config_of};
use partyline_plugin::protocol::{AppKey, ClientId, TopicLimits, TopicName};
use partyline_plugin::services::Services;
use partyline_plugin::{
    BrokerHandle, CancellationToken, Clock, DeviceKey, Message, Origin, Owner, Plugin,
    PluginContext, Principal, ProtocolVersion, Registrar, Role, SessionId, SessionInfo, Tasks,
};
use serde_json::Value;

use crate::{Backend, ScratchDatabase};

pub use fake::{FakeBroker, TrackedDelivery};
pub use plugin::TestPlugin;

/// The app of the sessions that tests make.
pub const TEST_APP: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

/// What a plugin is built with, and a look at what it does: a broker that records calls, a database
/// in a temporary folder, a clock that can be moved.
#[derive(Debug)]
pub struct TestContext {
    broker: Arc<FakeBroker>,
    database: Database,
    scratch: ScratchDatabase,
    services: Services,
    clock: Clock,
    tasks: Tasks,
}

impl TestContext {
    /// A context with an empty SQLite database.
    pub async fn new() -> anyhow::Result<Self> {
        let scratch = ScratchDatabase::create(Backend::Sqlite).await?;
        Ok(Self {
            broker: Arc::default(),
            database: scratch.open().await?,
            scratch,
            services: Services::default(),
            clock: Clock::default(),
            tasks: Tasks::new(CancellationToken::new()),
        })
    }

    /// The broker that its plugins call.
    pub fn broker(&self) -> &Arc<FakeBroker> {
        &self.broker
    }

    /// The database that its plugins use.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What its plugins provide; a test may provide doubles of what they require.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The clock that its plugins use.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Migrates, builds and registers a plugin as the broker does, with a JSON object as its
    /// configuration. Its `run` is not started.
    pub async fn build<P: Plugin>(&self, config: Value) -> anyhow::Result<TestPlugin<P>> {
        if let Some(migrations) = P::migrations() {
            self.database.migrate(P::ID, migrations).await?;
        }
        let key = format!("plugins.{}", P::ID);
        let figment = Figment::from(Serialized::default(&key, config));
        let config = config_of::<P>(&figment)?;
        let plugin = P::build(self.plugin_context(P::ID), config).await?;
        let plugin = Arc::new(plugin);
        let mut registrar = Registrar::new(P::ID, self.services.clone());
        DynPlugin::register(Arc::clone(&plugin), &mut registrar);
        let declared = registrar.finish();
        for (key, name) in &declared.requires {
            anyhow::ensure!(self.services.has(*key), "{} needs {name}", P::ID);
        }
        Ok(TestPlugin::new(plugin, declared))
    }

    fn plugin_context(&self, plugin: &'static str) -> PluginContext {
        let broker = BrokerHandle::new(Arc::clone(&self.broker) as _);
        let folder = std::env::temp_dir();
        PluginContext::new(
            broker.of_plugin(plugin),
            self.database.clone(),
            self.services.clone(),
            self.tasks.clone(),
            self.clock.clone(),
            self.scratch.folder().unwrap_or(&folder).into(),
            Duration::from_secs(10),
        )
    }

    /// Stops background work, which must end in time, and removes the database.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.tasks.stopping().cancel();
        tokio::time::timeout(crate::PATIENCE, self.tasks.finished())
            .await
            .context("background work does not end when it is told to stop")?;
        self.database.close().await;
        self.scratch.discard().await
    }
}

/// A message of a client, at QoS 0. Panics where `topic` is none.
#[expect(clippy::expect_used, reason = "a test that names no topic is wrong")]
pub fn message(topic: &str, payload: impl Into<Bytes>) -> Message {
    let topic = TopicName::parse(topic, &TopicLimits::default()).expect("a topic");
    Message::new(topic, payload, Origin::Client)
}

/// The key of a device of [`TEST_APP`]. Panics where `client_id` is none.
#[expect(
    clippy::expect_used,
    reason = "a test that names no client id is wrong"
)]
pub fn device(client_id: &str) -> DeviceKey {
    DeviceKey {
        app: AppKey::parse(TEST_APP).expect("an app key"),
        owner: Owner::Device,
        client_id: ClientId::parse(client_id).expect("a client id"),
    }
}

/// A connection of a device over MQTT 5, nobody logged in.
pub fn session(id: SessionId, client_id: &str) -> SessionInfo {
    let principal = Principal {
        role: Role::Device,
        registration: None,
        user: None,
    };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
    SessionInfo::new(
        id,
        device(client_id),
        principal,
        ProtocolVersion::V5,
        peer,
        None,
    )
}
