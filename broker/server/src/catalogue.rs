//! The plugins that this binary is built with.

use partyline_plugin::Plugin;
use partyline_plugin::host::PluginFactory;

/// What is known of a plugin before it is made.
struct Entry {
    id: &'static str,
    factory: fn() -> PluginFactory,
}

impl Entry {
    const fn of<P: Plugin>() -> Self {
        Self {
            id: P::ID,
            factory: PluginFactory::of::<P>,
        }
    }
}

const PLUGINS: &[Entry] = &[
    Entry::of::<partyline_accounts::AccountsPlugin>(),
    Entry::of::<partyline_acl::Acl>(),
    Entry::of::<partyline_im::Im>(),
];

pub(crate) fn factories() -> impl Iterator<Item = PluginFactory> {
    PLUGINS.iter().map(|entry| (entry.factory)())
}

pub(crate) fn factory(id: &str) -> Option<PluginFactory> {
    PLUGINS
        .iter()
        .find(|entry| entry.id == id)
        .map(|entry| (entry.factory)())
}

pub(crate) fn knows(id: &str) -> bool {
    PLUGINS.iter().any(|entry| entry.id == id)
}

/// Their names, for messages.
pub(crate) fn names() -> String {
    PLUGINS
        .iter()
        .map(|entry| entry.id)
        .collect::<Vec<_>>()
        .join(", ")
}
