//! The retained messages of one app.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use partyline_plugin::protocol::{TopicFilter, TopicName};
use tokio::time::Instant;

use self::search::Step;
use crate::config::LimitsConfig;
use crate::session::Publication;

pub(crate) use self::search::Search;

/// Bytes that a message costs here beside its own.
const PLACE: usize = 128;
/// Topics that a search looks at before others have their turn.
const STEPS: usize = 1024;
/// Messages that a search finds at once, unless they weigh more than `FOUND_BYTES` before.
const FOUND: usize = 256;
const FOUND_BYTES: usize = 64 * 1024;

/// The app has as many retained messages as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the app's limit of retained messages is reached")]
pub(crate) struct RetainedFull;

/// Ordered by topic, so that a search can stop anywhere and go on from there. Bounded by count and
/// bytes; what has expired makes room, and when that is not enough a new message is refused.
#[derive(Debug)]
pub(crate) struct Retained {
    kept: RwLock<Kept>,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_topic: BTreeMap<TopicName, Entry>,
    /// Topics whose message expires, by the time.
    expiring: BTreeSet<(Instant, TopicName)>,
    bytes: usize,
    /// Messages that were ever kept.
    count: u64,
}

#[derive(Debug)]
struct Entry {
    publication: Arc<Publication>,
    /// How many had been kept before it.
    number: u64,
}

impl Entry {
    fn cost(&self) -> usize {
        cost(&self.publication)
    }
}

fn cost(publication: &Publication) -> usize {
    publication.weight() + PLACE
}

/// What a search came upon.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) publications: Vec<Arc<Publication>>,
    /// There is no more.
    pub(crate) ended: bool,
}

impl Retained {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        Self {
            kept: RwLock::default(),
            max_messages: limits.retained_messages,
            max_bytes: limits.retained_bytes,
        }
    }

    /// Keeps the message; an empty payload removes the topic's.
    pub(super) fn store(&self, publication: &Arc<Publication>) -> Result<(), RetainedFull> {
        let topic = &publication.message.topic;
        let mut kept = self.kept.write();
        kept.drop_expired(Instant::now());
        if publication.message.payload.is_empty() {
            kept.remove(topic);
            return Ok(());
        }
        let old = kept.by_topic.get(topic.as_str()).map(Entry::cost);
        let count = kept.by_topic.len() + usize::from(old.is_none());
        let bytes = kept.bytes - old.unwrap_or_default() + cost(publication);
        if count > self.max_messages || bytes > self.max_bytes {
            return Err(RetainedFull);
        }
        kept.remove(topic);
        kept.insert(Arc::clone(publication));
        Ok(())
    }

    /// Messages and bytes that are kept, overhead included.
    pub(crate) fn size(&self) -> (usize, usize) {
        let kept = self.kept.read();
        (kept.by_topic.len(), kept.bytes)
    }

    /// The message of a topic.
    pub(crate) fn of_topic(&self, topic: &TopicName) -> Option<Arc<Publication>> {
        let kept = self.kept.read();
        let publication = &kept.by_topic.get(topic.as_str())?.publication;
        (!publication.expired(Instant::now())).then(|| Arc::clone(publication))
    }

    /// Begins to look for the messages that are kept now and whose topic the filter matches.
    pub(crate) fn search(&self, filter: TopicFilter) -> Search {
        Search::new(filter, self.kept.read().count)
    }

    /// Goes on with a search, for a bounded number of messages and steps.
    pub(crate) fn advance(&self, search: &mut Search) -> Found {
        let kept = self.kept.read();
        let now = Instant::now();
        let (mut found, mut bytes) = (Found::default(), 0);
        for _ in 0..STEPS {
            let next = kept.by_topic.range::<str, _>(search.range()).next();
            let Some((topic, entry)) = next else {
                found.ended = true;
                break;
            };
            match search.step(topic.as_str()) {
                Step::Found => {
                    // What came later was queued when it came, and is not sent again as older news.
                    if entry.number < search.before() && !entry.publication.expired(now) {
                        bytes += entry.publication.weight();
                        found.publications.push(Arc::clone(&entry.publication));
                    }
                }
                Step::Passed => {}
                Step::Over => {
                    found.ended = true;
                    break;
                }
            }
            if found.publications.len() >= FOUND || bytes >= FOUND_BYTES {
                break;
            }
        }
        found
    }
}

impl Kept {
    fn insert(&mut self, publication: Arc<Publication>) {
        let topic = publication.message.topic.clone();
        if let Some(expires) = publication.expires() {
            self.expiring.insert((expires, topic.clone()));
        }
        let entry = Entry {
            publication,
            number: self.count,
        };
        self.count += 1;
        self.bytes += entry.cost();
        self.by_topic.insert(topic, entry);
    }

    fn remove(&mut self, topic: &TopicName) {
        let Some(entry) = self.by_topic.remove(topic.as_str()) else {
            return;
        };
        self.bytes -= entry.cost();
        if let Some(expires) = entry.publication.expires() {
            self.expiring.remove(&(expires, topic.clone()));
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        while let Some((expires, _)) = self.expiring.first()
            && *expires <= now
            && let Some((_, topic)) = self.expiring.pop_first()
        {
            self.remove(&topic);
        }
    }
}
