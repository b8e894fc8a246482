//! The retained messages of one app.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::{DashMap, Entry};
use partyline_plugin::Message;
use partyline_plugin::protocol::{TopicFilter, TopicName};
use tokio::time::Instant;

use crate::session::Publication;

/// The app has as many retained messages as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the app's limit of retained messages is reached")]
pub(crate) struct RetainedFull;

#[derive(Debug)]
pub(crate) struct Retained {
    by_topic: DashMap<TopicName, Arc<Publication>>,
    count: AtomicUsize,
    limit: usize,
}

impl Retained {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            by_topic: DashMap::new(),
            count: AtomicUsize::new(0),
            limit,
        }
    }

    /// Keeps a copy of the message; an empty payload removes the topic's.
    pub(crate) fn store(&self, message: &Message) -> Result<(), RetainedFull> {
        if message.payload.is_empty() {
            if self.by_topic.remove(&message.topic).is_some() {
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
            return Ok(());
        }
        let mut kept = message.clone();
        kept.payload = bytes::Bytes::copy_from_slice(&message.payload);
        let kept = Arc::new(Publication::new(kept));
        match self.by_topic.entry(message.topic.clone()) {
            Entry::Occupied(mut entry) => {
                entry.insert(kept);
            }
            Entry::Vacant(entry) => {
                if self.count.fetch_add(1, Ordering::Relaxed) >= self.limit {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    return Err(RetainedFull);
                }
                entry.insert(kept);
            }
        }
        Ok(())
    }

    /// The unexpired messages whose topic the filter matches.
    pub(crate) fn matching(&self, filter: &TopicFilter) -> Vec<Arc<Publication>> {
        let now = Instant::now();
        let live = |publication: &Arc<Publication>| !publication.expired(now);
        if !filter.is_wildcard() {
            let found = self
                .by_topic
                .get(filter.as_str())
                .map(|entry| Arc::clone(&entry));
            return found.into_iter().filter(live).collect();
        }
        let matching = self
            .by_topic
            .iter()
            .filter(|entry| filter.matches(entry.key().as_str()));
        matching
            .map(|entry| Arc::clone(entry.value()))
            .filter(live)
            .collect()
    }
}
