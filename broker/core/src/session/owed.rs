//! The retained messages that a session is still to be sent.

use std::collections::VecDeque;

use partyline_plugin::Qos;
use partyline_plugin::protocol::TopicFilter;

use super::{Outbound, Publication};
use crate::router::{Retained, Search};

/// One search for each subscription that began with retained messages. MQTT 5 §3.3.1.3 wants all
/// of them sent, however many there are; what waits here is a place in the store, not the messages.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    searches: VecDeque<(Search, Qos)>,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.searches.is_empty()
    }

    /// Owes all that a filter matches from now on, in place of what it was owed before.
    pub(crate) fn add(&mut self, search: Search, qos: Qos) {
        self.forget(search.filter());
        self.searches.push_back((search, qos));
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
        let Some((search, qos)) = self.searches.front_mut() else {
            return;
        };
        let found = retained.advance(search);
        for publication in found.publications.into_iter().filter(|one| takes(one)) {
            let qos = publication.message.qos.min(*qos);
            outbound.route_owed(publication, qos);
        }
        if found.ended {
            self.searches.pop_front();
        }
    }
}
