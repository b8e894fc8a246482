//! The broker kernel: listeners, sessions, the router, the hook chain and the host of plugins.
//!
//! It names no plugin. A binary picks the plugins, hands them to [`Broker::builder`] and starts it.
#![expect(
    clippy::duplicate_mod,
    reason = "one text of the statements serves both databases"
)]

mod access;
#[cfg(feature = "bench")]
pub mod bench;
mod broker;
mod codec;
mod config;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handle;
mod http;
mod kernel;
mod listener;
mod metrics;
mod packet;
mod plugins;
mod router;
mod session;
mod store;
mod sweeper;
mod sys;
mod transport;

pub use broker::{Addresses, Broker, Builder, StartError};
pub use config::{
    AdminToken, BrokerConfig, HttpConfig, LimitsConfig, MqttConfig, TlsConfig, Unusable,
};
pub use plugins::{
    ChainDescription, CommandDescription, HookCounts, HookDescription, HostError, LatencyBucket,
    NamespaceDescription, ObserverDescription, OutletDescription, ReloadError, ReloadOutcome,
};
