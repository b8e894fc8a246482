//! The host of plugins: builds them, checks what they declare, runs and stops them.

mod guard;
mod health;
mod hook_table;
mod host;
mod namespaces;

pub(crate) use guard::Faulted;
pub(crate) use health::HealthCheck;
pub(crate) use hook_table::HookTable;
pub(crate) use host::Host;

pub use host::HostError;
