//! The host of plugins: builds them, checks what they declare, runs and stops them.

mod breaker;
mod deliver;
mod description;
mod events;
mod filters;
mod guard;
mod health;
mod hook_table;
mod host;
mod namespaces;
mod reload;
mod stats;
mod subscriptions;

pub(crate) use deliver::DeliverFilters;
pub(crate) use events::Events;
pub(crate) use guard::Faulted;
pub(crate) use health::HealthCheck;
pub(crate) use hook_table::HookTable;
pub(crate) use host::Host;

pub use description::{
    ChainDescription, CommandDescription, HookCounts, HookDescription, LatencyBucket,
    NamespaceDescription, ObserverDescription, OutletDescription,
};
pub use host::HostError;
pub use reload::{ReloadError, ReloadOutcome};
