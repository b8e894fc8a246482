//! Shared subscriptions (MQTT 5 §4.8.2): each message goes to one of a group.
//!
//! A group is the share name together with the filter, so that the same name over two filters makes
//! two groups. It is there while it has members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use partyline_plugin::protocol::TopicFilter;

use super::trie::{Leaf, Trie};
use super::{Subscriber, Subscribers};
use crate::config::LimitsConfig;
use crate::session::{Offer, Publication, Session};

/// The groups of one app.
#[derive(Debug, Default)]
pub(super) struct Shared {
    trie: RwLock<Trie<Groups>>,
    /// Lets a publish skip the trie where there is none.
    count: AtomicUsize,
}

/// The groups of one filter, each by its whole filter with `$share/` and the share name.
#[derive(Debug, Default)]
struct Groups(BTreeMap<TopicFilter, Arc<Group>>);

impl Leaf for Groups {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    list: Subscribers,
    /// Whose turn it is.
    next: usize,
}

impl Shared {
    /// Adds a member to the group `whole` over `filter`, or changes its options; true if it is new.
    pub(super) fn subscribe(
        &self,
        whole: &TopicFilter,
        filter: &TopicFilter,
        subscriber: Subscriber,
    ) -> bool {
        let mut trie = self.trie.write();
        let groups = &mut trie.leaf(filter.as_str()).0;
        let group = groups.entry(whole.clone()).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Release);
            Arc::default()
        });
        group.0.lock().list.put(subscriber)
    }

    /// Takes a member out of its group; true if it was there.
    pub(super) fn unsubscribe(
        &self,
        whole: &TopicFilter,
        filter: &TopicFilter,
        session: &Arc<Session>,
    ) -> bool {
        let mut taken = false;
        let mut trie = self.trie.write();
        let ended = trie.take(filter.as_str(), |groups| {
            let empty = groups.0.get(whole).is_some_and(|group| {
                let list = &mut group.0.lock().list;
                taken = list.take(session);
                list.is_empty()
            });
            empty && groups.0.remove(whole).is_some()
        });
        if ended {
            self.count.fetch_sub(1, Ordering::Release);
        }
        taken
    }

    /// The groups that a message goes to.
    pub(super) fn matching(&self, topic: &str) -> Vec<Arc<Group>> {
        let mut found = Vec::new();
        if self.count.load(Ordering::Acquire) > 0 {
            let trie = self.trie.read();
            trie.matching(topic, |groups| found.extend(groups.0.values().cloned()));
        }
        found
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0 && self.trie.read().is_empty()
    }

    /// A group that is there.
    pub(super) fn group(&self, whole: &TopicFilter, filter: &TopicFilter) -> Option<Arc<Group>> {
        self.trie.read().get(filter.as_str())?.0.get(whole).cloned()
    }
}

impl Group {
    /// Hands a message to one member: to the next in turn that is connected and has room, else to
    /// one that has room, else to whoever takes it and drops something for it. Whether somebody
    /// took it.
    ///
    /// No lock of a group is held over one of a session, which subscribes under its own.
    pub(super) fn dispatch(
        &self,
        limits: &LimitsConfig,
        publication: &Arc<Publication>,
        retain: bool,
    ) -> bool {
        let offered = |to: &Subscriber, offer| {
            let qos = publication.message.qos.min(to.options.qos);
            let retain = retain && to.options.retain_as_published;
            let matched = to.matched.clone();
            to.session
                .offer(limits, publication, qos, retain, matched, offer)
        };
        let Some(next) = self.next() else {
            return false;
        };
        // Nearly always it takes it, and nobody else is looked at.
        if offered(&next, Offer::Connected) {
            return true;
        }
        let members = self.in_turn();
        [Offer::Connected, Offer::Room, Offer::Any]
            .into_iter()
            .any(|offer| members.iter().any(|member| offered(member, offer)))
    }

    fn next(&self) -> Option<Subscriber> {
        let mut members = self.0.lock();
        let at = members.next;
        let (at, next) = match members.list.get(at) {
            Some(next) => (at, next.clone()),
            None => (0, members.list.get(0)?.clone()),
        };
        members.next = at + 1;
        Some(next)
    }

    /// All members, beginning with whose turn it is.
    fn in_turn(&self) -> Vec<Subscriber> {
        let members = self.0.lock();
        let mut all: Vec<Subscriber> = members.list.iter().cloned().collect();
        let next = members.next.min(all.len());
        all.rotate_left(next);
        all
    }
}
