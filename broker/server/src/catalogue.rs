//! The plugins that a binary is built with.

use partyline_plugin::Plugin;
use partyline_plugin::host::PluginFactory;

/// What is known of a plugin before it is made.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: &'static str,
    factory: fn() -> PluginFactory,
}

impl Entry {
    fn of<P: Plugin>() -> Self {
        Self {
            id: P::ID,
            factory: PluginFactory::of::<P>,
        }
    }
}

/// Those that come with Partyline, and the operator's own.
#[derive(Debug)]
pub(crate) struct Catalogue(Vec<Entry>);

impl Default for Catalogue {
    fn default() -> Self {
        Self(vec![
            Entry::of::<partyline_accounts::AccountsPlugin>(),
            Entry::of::<partyline_acl::Acl>(),
            Entry::of::<partyline_im::Im>(),
        ])
    }
}

impl Catalogue {
    pub(crate) fn add<P: Plugin>(&mut self) {
        self.0.push(Entry::of::<P>());
    }

    /// An id that two plugins have.
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        let mut ids: Vec<_> = self.ids().collect();
        ids.sort_unstable();
        let mut pairs = ids.windows(2);
        pairs.find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|entry| entry.id)
    }

    pub(crate) fn factories(&self) -> impl Iterator<Item = PluginFactory> {
        self.0.iter().map(|entry| (entry.factory)())
    }

    pub(crate) fn factory(&self, id: &str) -> Option<PluginFactory> {
        let entry = self.0.iter().find(|entry| entry.id == id);
        entry.map(|entry| (entry.factory)())
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Their names, for messages.
    pub(crate) fn names(&self) -> String {
        self.ids().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_plugins_of_one_name_are_found() {
        let mut catalogue = Catalogue::default();
        assert_eq!(catalogue.repeated(), None);
        catalogue.add::<partyline_acl::Acl>();
        assert_eq!(catalogue.repeated(), Some("acl"));
    }
}
