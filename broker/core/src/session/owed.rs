//! The retained messages that a session is still to be sent.

use std::collections::VecDeque;

use partyline_plugin::protocol::TopicFilter;

use super::{Matched, Outbound, Publication};
use crate::packet::SubscribeOptions;
use crate::router::{Retained, Search};

/// One search for each subscription that began with retained messages. MQTT 5 §3.3.1.3 wants all
/// of them sent, however many there are; what waits here is a place in the store, not the messages.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    searches: VecDeque<(Search, SubscribeOptions)>,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.searches.is_empty()
    }

    /// Owes all that a filter matches from now on, in place of what it was owed before.
    pub(crate) fn add(&mut self, search: Search, options: SubscribeOptions) {
        self.forget(search.filter());
        self.searches.push_back((search, options));
    }

    /// What a filter is still owed is sent with these options.
    pub(super) fn change(&mut self, filter: &TopicFilter, options: SubscribeOptions) {
        for (search, present) in &mut self.searches {
            if search.filter() == filter {
                *present = options;
            }
        }
    }

    /// The filter was unsubscribed from.
    pub(crate) fn forget(&mut self, filter: &TopicFilter) {
        self.keep(|one| one != filter);
    }

    pub(super) fn keep(&mut self, wanted: impl Fn(&TopicFilter) -> bool) {
        self.searches.retain(|(search, _)| wanted(search.filter()));
    }

    /// Queues the next few, a bounded piece of work.
    pub(super) fn advance(
        &mut self,
        retained: &Retained,
        outbound: &mut Outbound,
        takes: impl Fn(&Publication) -> bool,
    ) {
        let Some((search, options)) = self.searches.front_mut() else {
            return;
        };
        let found = retained.advance(search);
        let matched = Matched::of(search.filter(), *options);
        for publication in found.publications.into_iter().filter(|one| takes(one)) {
            let qos = publication.message.qos.min(options.qos);
            outbound.route_owed(publication, qos, matched.clone());
        }
        if found.ended {
            self.searches.pop_front();
        }
    }
}
