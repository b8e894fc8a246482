//! Filters between the router and the sessions' queues.

use std::sync::{Arc, OnceLock};

use partyline_plugin::{
    DeliverFilter, DeliverVerdict, DeviceKey, Message, Origin, Recipient, Scope, SessionInfo,
};

use super::description::HookDescription;
use super::filters::name_of;
use super::guard::Guarded;

type Filter = (Scope, Guarded<dyn DeliverFilter>);

/// In the order of the plugins. Empty until they are registered.
#[derive(Default)]
pub(crate) struct DeliverFilters(OnceLock<Vec<Filter>>);

impl std::fmt::Debug for DeliverFilters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeliverFilters({})", self.filters().len())
    }
}

impl DeliverFilters {
    pub(super) fn register(&self, filters: Vec<Filter>) {
        // Plugins are registered once.
        let _ = self.0.set(filters);
    }

    fn filters(&self) -> &[Filter] {
        self.0.get().map_or(&[], Vec::as_slice)
    }

    /// Whether a session gets a message. Its connection is looked for only where a filter wants to
    /// see the message.
    pub(crate) fn keep(
        &self,
        message: &Message,
        device: &DeviceKey,
        session: impl FnOnce() -> Option<Arc<SessionInfo>>,
    ) -> bool {
        let sees = |(scope, hook): &&Filter| {
            scope.contains(message.topic.as_str()) && message.origin != Origin::Plugin(hook.plugin)
        };
        let mut filters = self.filters().iter().filter(sees).peekable();
        if filters.peek().is_none() {
            return true;
        }
        let session = session();
        let to = Recipient::new(device, session.as_deref());
        filters.all(|(_, hook)| {
            let verdict = hook.call_now(|| hook.entry.hook.on_deliver(to, message));
            verdict.map_or(hook.is_skipped(), |verdict| verdict == DeliverVerdict::Keep)
        })
    }

    pub(crate) fn describe(&self) -> impl Iterator<Item = HookDescription> {
        let filters = self.filters().iter();
        filters.map(|(scope, hook)| hook.describe("deliver", None, Some(name_of(*scope))))
    }
}
