//! A session's subscriptions and their places in the router.

use std::sync::Arc;

use partyline_plugin::RetainHandling;
use partyline_plugin::protocol::TopicFilter;

use super::Session;
use super::state::State;
use crate::packet::SubscribeOptions;
use crate::store::Ticket;

impl Session {
    /// Adds a subscription, or changes the options of the one with this filter. All under the
    /// session's lock, so that session and router say the same, whoever else comes. What is
    /// retained from now on reaches the session as it comes; what was before is owed. The ticket is of the
    /// subscription, in a session that is stored.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        state: &mut State,
        filter: TopicFilter,
        options: SubscribeOptions,
    ) -> Option<Ticket> {
        let new = state
            .subscriptions
            .insert(filter.clone(), options)
            .is_none();
        let rows = state.outbound.rows();
        let ticket = rows.map(|rows| rows.subscribe(&filter, options));
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
        } else {
            state.owed.change(&filter, options);
        }
        ticket
    }

    /// Takes a subscription away; false if there was none. The ticket is of that, in a session that
    /// is stored.
    pub(crate) fn unsubscribe(
        self: &Arc<Self>,
        state: &mut State,
        filter: &TopicFilter,
    ) -> (bool, Option<Ticket>) {
        state.owed.forget(filter);
        if state.subscriptions.remove(filter).is_none() {
            return (false, None);
        }
        self.space.unsubscribe(filter, self);
        let rows = state.outbound.rows();
        (true, rows.map(|rows| rows.unsubscribe(filter)))
    }
}

#[cfg(test)]
mod tests;
