//! The topic space of one app: who subscribes to what, and what is retained.

mod retained;
mod shared;
mod subscribers;
mod trie;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard, RwLock};
use partyline_plugin::protocol::{TopicFilter, TopicName};
use partyline_plugin::{Message, Qos};
use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use retained::{Retained, RetainedFull, Search};
use shared::Shared;
use subscribers::Subscribers;
use trie::{Leaf, Trie};

use crate::config::LimitsConfig;
use crate::metrics::{Census, Traffic};
use crate::packet::SubscribeOptions;
use crate::plugins::{DeliverFilters, Events};
use crate::session::{Matched, Orphan, Publication, Session};
use crate::sys::Load;

/// Locks that the topics of retained messages share.
const STRIPES: usize = 64;

/// A session under one filter, which may be shared.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    session: Arc<Session>,
    options: SubscribeOptions,
    matched: Option<Arc<Matched>>,
}

/// One app's topics. No topic of one app can reach another: each has a router of its own.
#[derive(Debug)]
pub(crate) struct AppSpace {
    exact: DashMap<TopicFilter, Subscribers>,
    wildcards: RwLock<Trie<Subscribers>>,
    /// Lets a publish skip the trie where there is none.
    wildcard_count: AtomicUsize,
    shared: Shared,
    limits: LimitsConfig,
    pub(crate) retained: Retained,
    pub(crate) traffic: Traffic,
    pub(crate) census: Census,
    /// For `$SYS`; nobody else needs it.
    pub(crate) load: Mutex<Load>,
    /// The app is gone.
    closed: AtomicBool,
    /// Held from keeping a message to queueing it, so that subscribers get the retained messages of
    /// a topic in the order in which they replace each other.
    order: [Mutex<()>; STRIPES],
    /// Places for sessions without a connection.
    places: Arc<Semaphore>,
    pub(crate) events: Arc<Events>,
    pub(crate) deliver: Arc<DeliverFilters>,
}

impl AppSpace {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        let places = limits.detached_sessions.min(Semaphore::MAX_PERMITS);
        Self {
            exact: DashMap::new(),
            wildcards: RwLock::default(),
            wildcard_count: AtomicUsize::new(0),
            shared: Shared::default(),
            limits: limits.clone(),
            retained: Retained::new(limits),
            traffic: Traffic::default(),
            census: Census::default(),
            load: Mutex::default(),
            closed: AtomicBool::new(false),
            order: std::array::from_fn(|_| Mutex::new(())),
            places: Arc::new(Semaphore::new(places)),
            events: Arc::default(),
            deliver: Arc::default(),
        }
    }

    /// With the observers and the deliver filters of this broker.
    pub(crate) fn watched(mut self, events: &Arc<Events>, deliver: &Arc<DeliverFilters>) -> Self {
        self.events = Arc::clone(events);
        self.deliver = Arc::clone(deliver);
        self
    }

    /// The app is gone: sessions that come now must not stay.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether nobody subscribes to anything, and nothing is left of those who did.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn has_no_subscriptions(&self) -> bool {
        self.exact.is_empty()
            && self.wildcard_count.load(Ordering::Acquire) == 0
            && self.wildcards.read().is_empty()
            && self.shared.is_empty()
    }

    /// A place for one more session without a connection, if there is one.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
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
            matched: Matched::of(filter, options),
        };
        let new = if let Ok(Some((_, topics))) = filter.share() {
            self.shared.subscribe(filter, &topics, subscriber)
        } else if filter.is_wildcard() {
            let new = self.wildcards.write().leaf(filter.as_str()).put(subscriber);
            if new {
                self.wildcard_count.fetch_add(1, Ordering::Release);
            }
            new
        } else {
            self.exact
                .entry(filter.clone())
                .or_default()
                .put(subscriber)
        };
        if new {
            self.census.subscription_came();
        }
    }

    /// Takes a subscription away.
    pub(crate) fn unsubscribe(&self, filter: &TopicFilter, session: &Arc<Session>) {
        if let Ok(Some((_, topics))) = filter.share() {
            if self.shared.unsubscribe(filter, &topics, session) {
                self.census.subscription_went();
            }
            return;
        }
        if filter.is_wildcard() {
            let mut trie = self.wildcards.write();
            if trie.take(filter.as_str(), |subscribers| {
                subscribers.take(session).is_some()
            }) {
                self.wildcard_count.fetch_sub(1, Ordering::Release);
                self.census.subscription_went();
            }
            return;
        }
        if let Some(mut subscribers) = self.exact.get_mut(filter)
            && subscribers.take(session).is_some()
        {
            self.census.subscription_went();
        }
        self.exact
            .remove_if(filter, |_, subscribers| subscribers.is_empty());
    }

    /// Retains a message that is to be, and hands it to every matching session's queue; `from` is
    /// the publisher, for No Local. What cannot be retained goes to nobody. The payload is kept as it
    /// is, with the buffer that it lies in.
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
        let (topic, qos, retain) = (message.topic.clone(), message.qos, message.retain);
        let _in_order = retain.then(|| self.order(&topic));
        let kept = if retain {
            Some(self.keep(message.clone())?)
        } else {
            None
        };
        let targets = self.targets(topic.as_str(), from);
        let groups = self.shared.matching(topic.as_str());
        if targets.is_empty() && groups.is_empty() {
            return Ok(());
        }
        let publication = kept.unwrap_or_else(|| Arc::new(Publication::new(message)));
        for group in groups {
            group.dispatch(limits, &publication, retain);
        }
        for target in targets {
            let Subscriber {
                session,
                options,
                matched,
            } = target;
            let retain = retain && options.retain_as_published;
            session.route(limits, &publication, qos.min(options.qos), retain, matched);
        }
        Ok(())
    }

    /// A session that has this subscription has a connection again.
    pub(crate) fn wake(&self, filter: &TopicFilter, session: &Arc<Session>) {
        if let Ok(Some((_, topics))) = filter.share() {
            self.shared.wake(filter, &topics, session);
        }
    }

    /// Hands messages of shared subscriptions, which a session is not to get any more, to others of
    /// their groups.
    pub(crate) fn dispatch_again(&self, orphans: Vec<Orphan>) {
        if self.is_closed() {
            return;
        }
        for orphan in orphans {
            let Orphan {
                publication,
                retain,
                share,
            } = orphan;
            let group = match share.share() {
                Ok(Some((_, topics))) => self.shared.group(&share, &topics),
                _ => None,
            };
            let taken =
                group.is_some_and(|group| group.dispatch(&self.limits, &publication, retain));
            if !taken {
                tracing::debug!(
                    filter = share.as_str(),
                    "nobody of the group is left to take a message"
                );
            }
        }
    }

    /// Keeps a message as its topic's and hands it to nobody. Its payload pins no larger buffer.
    pub(crate) fn retain(&self, message: Message) -> Result<(), RetainedFull> {
        let _in_order = self.order(&message.topic.clone());
        self.keep(message).map(drop)
    }

    fn keep(&self, message: Message) -> Result<Arc<Publication>, RetainedFull> {
        let publication = Arc::new(Publication::new(message));
        self.retained.store(&publication)?;
        Ok(publication)
    }

    fn order(&self, topic: &TopicName) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        let stripe = usize::try_from(hasher.finish() % STRIPES as u64).ok()?;
        self.order.get(stripe).map(Mutex::lock)
    }

    /// The sessions that get a message: once each, at the highest QoS of their matching filters.
    pub(crate) fn targets(
        &self,
        topic: &str,
        from: Option<&Arc<Session>>,
    ) -> SmallVec<[Subscriber; 4]> {
        let mut targets = SmallVec::new();
        let wanted = |subscriber: &Subscriber| {
            !(subscriber.options.no_local
                && from.is_some_and(|from| Arc::ptr_eq(from, &subscriber.session)))
        };
        if let Some(subscribers) = self.exact.get(topic) {
            targets.extend(subscribers.iter().filter(|one| wanted(one)).cloned());
        }
        if self.wildcard_count.load(Ordering::Acquire) > 0 {
            self.wildcards.read().matching(topic, |subscribers| {
                targets.extend(subscribers.iter().filter(|one| wanted(one)).cloned());
            });
            merge(&mut targets);
        }
        targets
    }
}

/// One entry a session: the highest QoS, retain as published if any filter asks for it, and the
/// identifiers of all ([MQTT-3.3.4-3]).
fn merge(targets: &mut SmallVec<[Subscriber; 4]>) {
    targets.sort_unstable_by_key(|one| Arc::as_ptr(&one.session));
    targets.dedup_by(|next, kept| {
        let same = Arc::ptr_eq(&next.session, &kept.session);
        if same {
            kept.options.qos = Qos::max(kept.options.qos, next.options.qos);
            kept.options.retain_as_published |= next.options.retain_as_published;
            Matched::merge(&mut kept.matched, next.matched.take());
        }
        same
    });
}

#[cfg(test)]
mod tests;
