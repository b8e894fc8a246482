//! Delivery of the streams: who listens, what is new, and the batches on their way.
//!
//! Store first, deliver second. What a commit brought is announced to the lines of its users; a
//! line exists while somebody listens and keeps the newest items while they are on their way. An inbox that was idle then gets
//! a task, which sends batch after batch, each after the acknowledgement of the one before, and
//! leaves when everything is sent. What is not in the line is read from the store.

mod cursors;
mod drain;
mod inbox;
mod pack;
mod read;
mod registry;
mod tail;

use std::sync::Arc;

use dashmap::DashMap;
use partyline_plugin::{BrokerHandle, Clock, SessionId, Tasks};
use partyline_protocol::{Epoch, Member, TopicName};

use crate::config::ImConfig;
use crate::store::Store;

pub(crate) use cursors::Cursors;
pub(crate) use inbox::{Inbox, Reason};
pub(crate) use pack::PACKET_OVERHEAD;

/// All inboxes and lines. Lookups hold one shard at a time.
pub(crate) struct Deliveries {
    broker: BrokerHandle,
    store: Arc<dyn Store>,
    clock: Clock,
    tasks: Tasks,
    config: Arc<ImConfig>,
    pub(crate) cursors: Cursors,
    /// `$im/inbox`.
    topic: TopicName,
    inboxes: DashMap<SessionId, Arc<Inbox>>,
    lines: DashMap<Member, Line>,
}

/// A stream that somebody listens to.
#[derive(Debug, Default)]
struct Line {
    tail: tail::Tail,
    inboxes: Vec<Arc<Inbox>>,
}

impl Line {
    /// Forgets the newest items while nobody is being sent any: an idle line costs no memory.
    fn forget_if_calm(&mut self) {
        if !self.inboxes.iter().any(|inbox| inbox.is_running()) {
            self.tail.clear();
        }
    }
}

impl Deliveries {
    pub(crate) fn new(
        broker: BrokerHandle,
        store: Arc<dyn Store>,
        clock: Clock,
        tasks: Tasks,
        config: Arc<ImConfig>,
        topic: TopicName,
    ) -> Self {
        Self {
            broker,
            store,
            clock,
            tasks,
            config,
            cursors: Cursors::default(),
            topic,
            inboxes: DashMap::new(),
            lines: DashMap::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        crate::now_ms(&self.clock)
    }
}

/// The life of a stream that is made now: 60 random bits.
pub(crate) fn fresh_epoch() -> Epoch {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random: u64 = rand::random();
    let text: String = (0..12)
        .filter_map(|digit| DIGITS.get((random >> (digit * 5) & 31) as usize))
        .map(|digit| char::from(*digit))
        .collect();
    // Twelve letters and digits always are one.
    Epoch::parse(text).unwrap_or_else(|_| fresh_epoch())
}
