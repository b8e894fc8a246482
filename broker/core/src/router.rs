//! The topic space of one app: who subscribes to what, and what is retained.

mod retained;
mod trie;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::RwLock;
use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{Message, Qos};
use smallvec::SmallVec;

pub(crate) use retained::{Retained, RetainedFull};
use trie::Trie;

use crate::config::LimitsConfig;
use crate::packet::SubscribeOptions;
use crate::session::{Publication, Session};

/// A session under one filter.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    session: Arc<Session>,
    options: SubscribeOptions,
}

/// One app's topics. No topic of one app can reach another: each has a router of its own.
#[derive(Debug)]
pub(crate) struct AppSpace {
    exact: DashMap<TopicFilter, Vec<Subscriber>>,
    wildcards: RwLock<Trie>,
    /// Lets a publish skip the trie where there is none.
    wildcard_count: AtomicUsize,
    pub(crate) retained: Retained,
    /// The app is gone.
    closed: AtomicBool,
}

impl AppSpace {
    pub(crate) fn new(retained_limit: usize) -> Self {
        Self {
            exact: DashMap::new(),
            wildcards: RwLock::default(),
            wildcard_count: AtomicUsize::new(0),
            retained: Retained::new(retained_limit),
            closed: AtomicBool::new(false),
        }
    }

    /// The app is gone: sessions that come now must not stay.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Adds a subscription, or changes the options of the one with this filter.
    pub(crate) fn subscribe(
        &self,
        filter: &TopicFilter,
        session: &Arc<Session>,
        options: SubscribeOptions,
    ) {
        let subscriber = Subscriber {
            session: Arc::clone(session),
            options,
        };
        if filter.is_wildcard() {
            if self.wildcards.write().insert(filter.as_str(), subscriber) {
                self.wildcard_count.fetch_add(1, Ordering::Release);
            }
        } else {
            put(
                self.exact.entry(filter.clone()).or_default().value_mut(),
                subscriber,
            );
        }
    }

    /// Takes a subscription away.
    pub(crate) fn unsubscribe(&self, filter: &TopicFilter, session: &Arc<Session>) {
        if filter.is_wildcard() {
            if self.wildcards.write().remove(filter.as_str(), session) {
                self.wildcard_count.fetch_sub(1, Ordering::Release);
            }
            return;
        }
        if let Some(mut subscribers) = self.exact.get_mut(filter) {
            take(&mut subscribers, session);
        }
        self.exact
            .remove_if(filter, |_, subscribers| subscribers.is_empty());
    }

    /// Retains a message that is to be, and hands it to every matching session's queue; `from` is
    /// the publisher, for No Local. What cannot be retained goes to nobody.
    ///
    /// Async because with several brokers it returns only when the others have confirmed.
    #[expect(
        clippy::unused_async,
        reason = "the seam for brokers on other machines"
    )]
    pub(crate) async fn publish(
        &self,
        limits: &LimitsConfig,
        message: Message,
        from: Option<&Arc<Session>>,
    ) -> Result<(), RetainedFull> {
        if message.retain {
            self.retained.store(&message)?;
        }
        let targets = self.targets(message.topic.as_str(), from);
        if targets.is_empty() {
            return Ok(());
        }
        let (qos, retain) = (message.qos, message.retain);
        let publication = Arc::new(Publication::new(message));
        for Subscriber { session, options } in targets {
            let retain = retain && options.retain_as_published;
            session.route(limits, &publication, qos.min(options.qos), retain);
        }
        Ok(())
    }

    /// The sessions that get a message: once each, at the highest QoS of their matching filters.
    fn targets(&self, topic: &str, from: Option<&Arc<Session>>) -> SmallVec<[Subscriber; 4]> {
        let mut targets = SmallVec::new();
        let wanted = |subscriber: &Subscriber| {
            !(subscriber.options.no_local
                && from.is_some_and(|from| Arc::ptr_eq(from, &subscriber.session)))
        };
        if let Some(subscribers) = self.exact.get(topic) {
            targets.extend(subscribers.iter().filter(|one| wanted(one)).cloned());
        }
        if self.wildcard_count.load(Ordering::Acquire) > 0 {
            self.wildcards.read().matching(topic, |subscriber| {
                if wanted(subscriber) {
                    targets.push(subscriber.clone());
                }
            });
            merge(&mut targets);
        }
        targets
    }
}

/// One entry a session: the highest QoS, and retain as published if any filter asks for it.
fn merge(targets: &mut SmallVec<[Subscriber; 4]>) {
    targets.sort_unstable_by_key(|one| Arc::as_ptr(&one.session));
    targets.dedup_by(|next, kept| {
        let same = Arc::ptr_eq(&next.session, &kept.session);
        if same {
            kept.options.qos = Qos::max(kept.options.qos, next.options.qos);
            kept.options.retain_as_published |= next.options.retain_as_published;
        }
        same
    });
}

/// Adds or replaces; true if it is new.
fn put(subscribers: &mut Vec<Subscriber>, subscriber: Subscriber) -> bool {
    let same = |one: &&mut Subscriber| Arc::ptr_eq(&one.session, &subscriber.session);
    if let Some(present) = subscribers.iter_mut().find(same) {
        present.options = subscriber.options;
        return false;
    }
    subscribers.push(subscriber);
    true
}

/// Removes; true if it was there.
fn take(subscribers: &mut Vec<Subscriber>, session: &Arc<Session>) -> bool {
    let at = subscribers
        .iter()
        .position(|one| Arc::ptr_eq(&one.session, session));
    at.map(|at| subscribers.swap_remove(at)).is_some()
}
