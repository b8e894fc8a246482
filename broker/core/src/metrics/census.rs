//! How many there are of what an app has.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The present numbers of one app.
#[derive(Debug, Default)]
pub(crate) struct Census {
    connected: AtomicUsize,
    most_connected: AtomicUsize,
    sessions: AtomicUsize,
    subscriptions: AtomicUsize,
}

impl Census {
    pub(crate) fn connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// The most that were connected at once.
    pub(crate) fn most_connected(&self) -> usize {
        self.most_connected.load(Ordering::Relaxed)
    }

    /// Sessions, with and without a connection.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Subscriptions to plain topics.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    pub(crate) fn connection_came(&self) {
        let now = self.connected.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_connected.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn connection_went(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn session_came(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn session_went(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn subscription_came(&self) {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subscription_went(&self) {
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}
