//! One connection of a session.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{Reason, SessionId, SessionInfo};
use tokio::sync::Notify;

use super::Matched;
use crate::codec::Frame;

/// What a session has while a connection is open.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) id: SessionId,
    /// Replaced at login and logout.
    pub(crate) info: ArcSwap<SessionInfo>,
    pub(crate) signal: Signal,
    /// Subscriptions under `$`, which belong to the connection.
    pub(crate) listening: Mutex<Listening>,
    /// Silence that ends the connection, seconds.
    pub(crate) keep_alive_limit: u32,
    /// When a packet last came, seconds since the sweeper began.
    pub(crate) last_seen: AtomicU32,
}

impl Attachment {
    pub(crate) fn new(info: SessionInfo, keep_alive_limit: u32, now: u32) -> Self {
        Self {
            id: info.id,
            info: ArcSwap::from_pointee(info),
            signal: Signal::default(),
            listening: Mutex::default(),
            keep_alive_limit,
            last_seen: AtomicU32::new(now),
        }
    }

    pub(crate) fn seen(&self, now: u32) {
        self.last_seen.store(now, Ordering::Relaxed);
    }

    pub(crate) fn info(&self) -> Arc<SessionInfo> {
        self.info.load_full()
    }
}

/// Which `$` topics the connection listens on.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    /// Granted filters under `$`, with their Subscription Identifiers.
    pub(crate) filters: Vec<(TopicFilter, Option<NonZeroU32>)>,
    /// Outlets that were told, by their place in the hook table.
    pub(crate) open: Vec<usize>,
    /// The connection has ended: nothing is opened any more.
    pub(crate) ended: bool,
}

impl Listening {
    /// What a delivery on a topic owes to the filters that match it.
    pub(crate) fn matched(&self, topic: &str) -> Option<Arc<Matched>> {
        let with_id = self
            .filters
            .iter()
            .filter_map(|(filter, id)| Some((filter, (*id)?)));
        let matching = with_id.filter(|(filter, _)| filter.matches(topic));
        Matched::with_ids(matching.map(|(_, id)| id).collect())
    }
}

/// Why and how a connection is to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) reason: Reason,
    pub(crate) message: Option<String>,
    /// For clients that know no server DISCONNECT.
    pub(crate) notice: Option<Frame>,
    pub(crate) publish_will: bool,
    /// Whether commands in progress are waited for.
    pub(crate) drain: bool,
}

impl Stop {
    pub(crate) fn new(reason: Reason, message: Option<String>) -> Self {
        Self {
            reason,
            message,
            notice: None,
            publish_will: true,
            drain: false,
        }
    }

    pub(crate) fn without_will(mut self) -> Self {
        self.publish_will = false;
        self
    }

    pub(crate) fn draining(mut self) -> Self {
        self.drain = true;
        self
    }
}

/// Wakes the connection's task: there is something to send, or it is to stop.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    notify: Notify,
    stop: Mutex<Option<Stop>>,
}

impl Signal {
    pub(crate) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Asks the connection to stop; the first reason stands.
    pub(crate) fn stop(&self, stop: Stop) {
        self.stop.lock().get_or_insert(stop);
        self.notify.notify_one();
    }

    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stop.lock().clone()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.lock().is_some()
    }

    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}
