//! Shared subscriptions (MQTT 5 §4.8.2): each message goes to one of a group.
//!
//! A group is the share name together with the filter, so that the same name over two filters makes
//! two groups. It is there while it has members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use partyline_plugin::Qos;
use partyline_plugin::protocol::TopicFilter;

use super::trie::{Leaf, Trie};
use super::{Subscriber, Subscribers};
use crate::config::LimitsConfig;
use crate::session::{Offer, Offered, Publication, Session, Taken};

/// So many members without a connection, and so many that are full, are asked about one message at the
/// most, however large the group is.
const AT_MOST: usize = 8;

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
    /// Those that had a connection when last seen.
    awake: InTurn,
    /// Those that had none, so that many of them cost nothing while others are there.
    asleep: InTurn,
}

#[derive(Debug, Default)]
struct InTurn {
    list: Subscribers,
    /// Whose turn it is.
    next: usize,
}

impl InTurn {
    fn next(&mut self) -> Option<Subscriber> {
        let at = self.next;
        let (at, next) = match self.list.get(at) {
            Some(next) => (at, next.clone()),
            None => (0, self.list.get(0)?.clone()),
        };
        self.next = at + 1;
        Some(next)
    }

    /// The turn is that of who comes behind this one, which has had its own.
    fn pass(&mut self, session: &Arc<Session>) {
        if let Some(at) = self.list.place(session) {
            self.next = at + 1;
        }
    }
}

impl Members {
    /// Adds or replaces a member, which is awake; true if it is new.
    fn put(&mut self, subscriber: Subscriber) -> bool {
        let old = self.asleep.list.take(&subscriber.session);
        self.awake.list.put(subscriber) && old.is_none()
    }

    /// Removes; true if it was there.
    fn take(&mut self, session: &Arc<Session>) -> bool {
        let lists = [&mut self.awake.list, &mut self.asleep.list];
        lists.into_iter().any(|list| list.take(session).is_some())
    }

    fn is_empty(&self) -> bool {
        self.awake.list.is_empty() && self.asleep.list.is_empty()
    }
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
        group.0.lock().put(subscriber)
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
                let mut members = group.0.lock();
                taken = members.take(session);
                members.is_empty()
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

    /// A member of the group has a connection again.
    pub(super) fn wake(&self, whole: &TopicFilter, filter: &TopicFilter, session: &Arc<Session>) {
        if let Some(group) = self.group(whole, filter) {
            group.wake(session);
        }
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
    /// one that has room, else to whoever drops nothing but QoS 0 for it, else it is dropped at one of
    /// them. `None` if nobody took it.
    ///
    /// No lock of a group is held over one of a session, which subscribes under its own.
    pub(super) fn dispatch(
        &self,
        limits: &LimitsConfig,
        publication: &Arc<Publication>,
        retain: bool,
    ) -> Option<Taken> {
        let qos_for = |to: &Subscriber| publication.message.qos.min(to.options.qos);
        let offered = |to: &Subscriber, offer| {
            let retain = retain && to.options.retain_as_published;
            let matched = to.matched.clone();
            to.session
                .offer(limits, publication, qos_for(to), retain, matched, offer)
        };
        // They are not asked again. What a filter keeps from them others may take.
        let mut refused = Vec::new();
        let mut full = Vec::new();
        // Nearly always the first of them takes it.
        let awake = self.0.lock().awake.list.len();
        for _ in 0..awake {
            let next = self.0.lock().awake.next();
            let Some(next) = next else { break };
            match offered(&next, Offer::Connected) {
                Offered::Taken(taken) => return Some(taken),
                Offered::Away => self.lay_asleep(&next.session),
                Offered::Full if full.len() < AT_MOST => full.push(next),
                Offered::Refused => refused.push(next.session),
                Offered::Full | Offered::Ended => {}
            }
        }
        for next in self.asleep(publication.message.qos) {
            // It would not wait for them.
            if qos_for(&next) == Qos::AtMostOnce {
                continue;
            }
            match offered(&next, Offer::Room) {
                Offered::Taken(taken) => {
                    self.0.lock().asleep.pass(&next.session);
                    return Some(taken);
                }
                Offered::Full => full.push(next),
                Offered::Refused => refused.push(next.session),
                Offered::Away | Offered::Ended => {}
            }
        }
        if !full.is_empty() {
            // Not always at the same one.
            let first = rand::random_range(0..full.len());
            full.rotate_left(first);
        }
        for offer in [Offer::Displacing, Offer::Any] {
            if offer == Offer::Any {
                full.truncate(1);
            }
            for member in std::mem::take(&mut full) {
                match offered(&member, offer) {
                    Offered::Taken(taken) => return Some(taken),
                    Offered::Full => full.push(member),
                    Offered::Refused => refused.push(member.session),
                    Offered::Away | Offered::Ended => {}
                }
            }
        }
        for session in refused {
            session.tell_filtered(publication);
        }
        None
    }

    /// The next few in turn of those without a connection, if a message of this QoS waits for any.
    fn asleep(&self, qos: Qos) -> Vec<Subscriber> {
        if qos == Qos::AtMostOnce {
            return Vec::new();
        }
        let asleep = &mut self.0.lock().asleep;
        let count = asleep.list.len().min(AT_MOST);
        (0..count).filter_map(|_| asleep.next()).collect()
    }

    /// Whether a message of this QoS may have to be stored for a member.
    pub(super) fn is_stored(&self, qos: Qos) -> bool {
        qos != Qos::AtMostOnce && self.all().iter().any(|member| member.is_stored(qos))
    }

    fn lay_asleep(&self, session: &Arc<Session>) {
        {
            let mut members = self.0.lock();
            let Some(member) = members.awake.list.take(session) else {
                return;
            };
            members.asleep.list.put(member);
        }
        // A connection that came before this did not find it asleep.
        if session.state().is_connected() {
            self.wake(session);
        }
    }

    fn wake(&self, session: &Arc<Session>) {
        let mut members = self.0.lock();
        if let Some(member) = members.asleep.list.take(session) {
            members.awake.list.put(member);
        }
    }

    /// All members, those that are awake first.
    fn all(&self) -> Vec<Subscriber> {
        let members = self.0.lock();
        let lists = [&members.awake.list, &members.asleep.list];
        lists
            .into_iter()
            .flat_map(Subscribers::iter)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests;
