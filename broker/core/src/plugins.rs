//! The host of plugins: builds them, checks what they declare, runs and stops them.

mod breaker;
mod description;
mod guard;
mod health;
mod hook_table;
mod host;
mod namespaces;
mod stats;

pub(crate) use guard::Faulted;
pub(crate) use health::HealthCheck;
pub(crate) use hook_table::HookTable;
pub(crate) use host::Host;

pub use description::{
    ChainDescription, CommandDescription, HookCounts, HookDescription, LatencyBucket,
    NamespaceDescription, ObserverDescription, OutletDescription,
};
pub use host::HostError;
