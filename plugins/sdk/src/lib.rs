//! What a Partyline plugin author depends on, and all that they depend on.
//!
//! A plugin is a type that implements [`Plugin`]: [`Plugin::build`] makes it, [`Plugin::register`]
//! declares the topics it owns, the commands it answers and the hooks it runs. Everything it can do
//! to the broker goes through the handles of its [`PluginContext`].
//!
//! The crates whose types appear in this API are re-exported, so that versions agree: a plugin needs
//! no other dependency.
//!
//! What is called when, and what may be called from where, is told by the pages of the modules:
//! [`hooks`] for what decides in line, [`command`], [`outlet`], [`observe`], [`tasks`] and
//! [`database`].
//!
//! A whole plugin, which answers the command `$x/echo/say`:
//!
//! ```
//! use std::sync::Arc;
//!
//! use partyline_plugin::protocol::RequestError;
//! use partyline_plugin::serde::{Deserialize, Serialize};
//! use partyline_plugin::{CommandCx, Plugin, PluginContext, Registrar, async_trait};
//!
//! struct Echo {
//!     config: EchoConfig,
//! }
//!
//! /// The table `[plugins.echo]`. A key that is not known keeps the broker from starting.
//! #[derive(Serialize, Deserialize)]
//! #[serde(crate = "partyline_plugin::serde", deny_unknown_fields)]
//! struct EchoConfig {
//!     loud: bool,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(crate = "partyline_plugin::serde")]
//! struct Words {
//!     words: String,
//! }
//!
//! #[async_trait]
//! impl Plugin for Echo {
//!     const ID: &'static str = "echo";
//!     type Config = EchoConfig;
//!
//!     async fn build(_: PluginContext, config: EchoConfig) -> anyhow::Result<Self> {
//!         Ok(Self { config })
//!     }
//!
//!     fn register(self: &Arc<Self>, registrar: &mut Registrar) {
//!         registrar
//!             .owns("$x/echo/")
//!             .command("$x/echo/say", "$x/echo/said", self, Self::say);
//!     }
//! }
//!
//! impl Echo {
//!     async fn say(self: Arc<Self>, _: CommandCx, said: Words) -> Result<Words, RequestError> {
//!         let words = if self.config.loud { said.words.to_uppercase() } else { said.words };
//!         Ok(Words { words })
//!     }
//! }
//! ```
#![warn(missing_docs)]

mod broker;
mod cause;
mod clock;
pub mod command;
mod context;
pub mod database;
mod extensions;
pub mod hooks;
pub mod host;
mod identity;
mod message;
mod metrics;
pub mod observe;
pub mod outlet;
mod plugin;
mod reentry;
mod registrar;
pub mod services;
mod session;
pub mod tasks;

pub use anyhow;
pub use async_trait::async_trait;
pub use axum;
pub use bytes;
pub use figment;
pub use partyline_protocol as protocol;
pub use partyline_protocol::Reason;
pub use serde;
pub use sqlx;
pub use tokio;
pub use tokio_util::sync::CancellationToken;
pub use tracing;

/// The version of this SDK, as plugins were built with it.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

pub use broker::{
    BrokerHandle, Delivery, Gone, Kick, PublishError, SubscribeError, Tracked, TrackedOutcome,
};
pub use cause::MAX_HOPS;
pub use clock::Clock;
pub use command::{CommandCx, CommandReply};
pub use context::PluginContext;
pub use extensions::Extensions;
pub use hooks::{
    AccessVerdict, Admission, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe,
    ConnectRefusal, ConnectRequest, DEFAULT_DEADLINE, DeliverFilter, DeliverVerdict, FilterOptions,
    HookError, HookResult, OnFault, Phase, PublishFilter, Recipient, Refusal, RetainHandling,
    Scope, SubscribeFilter, SubscribeRequest, SubscribeVerdict, Subscription, SubscriptionOptions,
    Verdict, WillFilter,
};
pub use identity::{DeviceKey, Owner, Principal, ProtocolVersion, Role, UserLogin};
pub use message::{Message, MessageProperties, Origin, Outgoing, Payload, Qos};
pub use metrics::{Counter, Gauge, Histogram, Meter};
pub use observe::{CloseReason, DEFAULT_QUEUE, DropReason, Event, EventKind, EventKinds, Observer};
pub use outlet::{Audience, Outlet};
pub use plugin::{Health, Plugin, Reload};
pub use registrar::Registrar;
pub use session::{SessionHandle, SessionId, SessionInfo};
pub use tasks::{QueueFull, Tasks, WorkQueue};
