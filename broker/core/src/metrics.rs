//! What the broker counts, and how `/metrics` tells it.
//!
//! Counting must cost next to nothing: a connection counts packets in plain numbers of its own and
//! adds them to its app's once a batch, beside the system call that moved them. What is rare is
//! counted where it happens. All of it is relaxed: figures, not decisions.

mod by_reason;
mod census;
mod expose;
mod hooks;
mod survey;
mod traffic;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use self::by_reason::ByReason;

pub(crate) use self::census::Census;
pub(crate) use self::expose::Exposition;
pub(crate) use self::traffic::{Drops, Sent, Tally, Totals, Traffic};

/// Upper bounds of the time from accepting a socket to its CONNACK, seconds.
const CONNECT_SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Which listener took a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    Mqtt,
    Mqtts,
    Ws,
}

impl ListenerKind {
    pub(crate) const ALL: [Self; 3] = [Self::Mqtt, Self::Mqtts, Self::Ws];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
        }
    }
}

/// Why a connection ended before it had a CONNECT that could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoConnect {
    /// `limits.connections` is reached.
    Limit,
    /// The handshake of TLS or WebSocket failed.
    Handshake,
    /// It took too long.
    Timeout,
    /// It was closed, or what came is no CONNECT of any version.
    Garbled,
}

impl NoConnect {
    const ALL: [Self; 4] = [Self::Limit, Self::Handshake, Self::Timeout, Self::Garbled];

    fn name(self) -> &'static str {
        match self {
            Self::Limit => "connection_limit",
            Self::Handshake => "handshake",
            Self::Timeout => "timeout",
            Self::Garbled => "no_connect",
        }
    }
}

/// Counters of the whole broker. What belongs to an app lies in its [`Traffic`] and [`Census`].
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) started: Instant,
    accepted: [AtomicU64; 3],
    no_connect: [AtomicU64; 4],
    pub(crate) connects_refused: ByReason,
    pub(crate) publishes_refused: ByReason,
    /// Connections that the broker ended.
    pub(crate) disconnects: ByReason,
    connect_seconds: Histogram,
    /// Of connections that no app let in.
    pub(crate) strangers: Traffic,
    /// Of apps that were deleted. Held while an app goes, so that its part is counted once.
    pub(crate) past: Mutex<Totals>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            accepted: Default::default(),
            no_connect: Default::default(),
            connects_refused: ByReason::default(),
            publishes_refused: ByReason::default(),
            disconnects: ByReason::default(),
            connect_seconds: Histogram::new(CONNECT_SECONDS),
            strangers: Traffic::default(),
            past: Mutex::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn accepted(&self, on: ListenerKind) {
        if let Some(counter) = self.accepted.get(on as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn no_connect(&self, why: NoConnect) {
        if let Some(counter) = self.no_connect.get(why as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection got its CONNACK; it was accepted at `since`.
    pub(crate) fn connected(&self, since: Instant) {
        self.connect_seconds.observe(since.elapsed().as_secs_f64());
    }
}
