//! The sessions under one filter.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Subscriber;
use super::trie::Leaf;
use crate::session::Session;

/// Up to so many are looked through; above, their places are kept in a map, so that many devices
/// that leave and come back do not each look through all of them.
const LOOKED_THROUGH: usize = 32;

/// A dense list, which a fan-out walks.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    list: Vec<Subscriber>,
    places: Option<BTreeMap<usize, usize>>,
}

impl Leaf for Subscribers {
    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Unique among sessions that are there.
fn identity(session: &Arc<Session>) -> usize {
    Arc::as_ptr(session).addr()
}

impl Subscribers {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscriber> {
        self.list.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Subscriber> {
        self.list.get(at)
    }

    /// Adds or replaces; true if it is new.
    pub(super) fn put(&mut self, subscriber: Subscriber) -> bool {
        let place = self.place(&subscriber.session);
        if let Some(present) = place.and_then(|at| self.list.get_mut(at)) {
            *present = subscriber;
            return false;
        }
        if let Some(places) = &mut self.places {
            places.insert(identity(&subscriber.session), self.list.len());
        }
        self.list.push(subscriber);
        if self.places.is_none() && self.list.len() > LOOKED_THROUGH {
            let sessions = self.list.iter().map(|one| identity(&one.session));
            let places = sessions.enumerate().map(|(at, identity)| (identity, at));
            self.places = Some(places.collect());
        }
        true
    }

    /// Removes, if it is there.
    pub(super) fn take(&mut self, session: &Arc<Session>) -> Option<Subscriber> {
        let at = self.place(session)?;
        let taken = self.list.swap_remove(at);
        if let Some(places) = &mut self.places {
            places.remove(&identity(session));
            if let Some(moved) = self.list.get(at) {
                places.insert(identity(&moved.session), at);
            }
            if self.list.len() <= LOOKED_THROUGH / 2 {
                self.places = None;
            }
        }
        Some(taken)
    }

    pub(super) fn place(&self, session: &Arc<Session>) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&identity(session)).copied(),
            None => self
                .list
                .iter()
                .position(|one| Arc::ptr_eq(&one.session, session)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use partyline_plugin::protocol::{AppKey, ClientId};
    use partyline_plugin::{Clock, DeviceKey, Owner, Qos, RetainHandling};
    use proptest::prelude::*;

    use super::*;
    use crate::config::LimitsConfig;
    use crate::packet::SubscribeOptions;
    use crate::router::AppSpace;
    use crate::session::Commands;
    use crate::store::Journal;

    fn sessions(count: usize) -> Vec<Arc<Session>> {
        let app = AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let journal = Arc::new(Journal::new(Clock::default()));
        let space = AppSpace::new(app.clone(), &LimitsConfig::default(), journal);
        let space = Arc::new(space);
        let key = DeviceKey {
            app,
            owner: Owner::Device,
            client_id: ClientId::parse("one").unwrap(),
        };
        let commands = Arc::new(Commands::default());
        let session = || {
            let (space, commands) = (Arc::clone(&space), Arc::clone(&commands));
            Arc::new(Session::new(key.clone(), None, space, commands))
        };
        (0..count).map(|_| session()).collect()
    }

    proptest! {
        #[test]
        fn holds_who_came_and_did_not_leave(
            steps in prop::collection::vec((0_usize..80, 0_u8..3), 0..400),
        ) {
            let sessions = sessions(80);
            let (mut subscribers, mut expected) = (Subscribers::default(), BTreeSet::new());
            for (number, what) in steps {
                let session = &sessions[number];
                if what == 0 {
                    prop_assert_eq!(subscribers.take(session).is_some(), expected.remove(&number));
                } else {
                    let options = SubscribeOptions {
                        qos: Qos::AtMostOnce,
                        no_local: false,
                        retain_as_published: false,
                        retain_handling: RetainHandling::Always,
                        subscription_id: None,
                    };
                    let session = Arc::clone(session);
                    let new = subscribers.put(Subscriber {
                        session,
                        options,
                        matched: None,
                    });
                    prop_assert_eq!(new, expected.insert(number));
                }
            }
            let place = |one: &Subscriber| {
                sessions.iter().position(|session| Arc::ptr_eq(session, &one.session)).unwrap()
            };
            let held: BTreeSet<usize> = subscribers.iter().map(place).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
