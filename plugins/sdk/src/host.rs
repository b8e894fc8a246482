//! The other side of the SDK: what the broker, and a double of it in tests, needs to host plugins.
//! The author of a plugin needs nothing of it.

mod declared;

pub use crate::broker::Broker;
pub use crate::cause::causing;
pub use crate::command::{CommandFuture, CommandHandler};
pub use crate::plugin::{DynPlugin, PluginFactory, Reloading, config_of};
pub use crate::reentry::without_broker;
pub use declared::{
    CommandEntry, Delegation, FilterEntry, HookEntry, Namespace, ObserverEntry, OutletEntry,
    Registrations,
};
