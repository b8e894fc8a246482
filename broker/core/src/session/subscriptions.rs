//! A session's subscriptions and their places in the router.

use std::sync::Arc;

use partyline_plugin::protocol::TopicFilter;

use super::Session;
use super::state::State;
use crate::packet::{RetainHandling, SubscribeOptions};

impl Session {
    /// Adds a subscription, or changes the options of the one with this filter. All under the
    /// session's lock, so that session and router say the same, whoever else comes. What is
    /// retained from now on reaches the session as it comes; what was before is owed.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        state: &mut State,
        filter: TopicFilter,
        options: SubscribeOptions,
    ) {
        let new = state
            .subscriptions
            .insert(filter.clone(), options)
            .is_none();
        self.space.subscribe(&filter, self, options);
        let wants_retained = match options.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => new,
            RetainHandling::Never => false,
        };
        // A shared one gets none (MQTT 5 §4.8.2).
        if wants_retained && !matches!(filter.share(), Ok(Some(_))) {
            let search = self.space.retained.search(filter);
            state.owed.add(search, options);
        }
    }

    /// Takes a subscription away; false if there was none.
    pub(crate) fn unsubscribe(self: &Arc<Self>, state: &mut State, filter: &TopicFilter) -> bool {
        state.owed.forget(filter);
        let removed = state.subscriptions.remove(filter).is_some();
        if removed {
            self.space.unsubscribe(filter, self);
        }
        removed
    }
}
