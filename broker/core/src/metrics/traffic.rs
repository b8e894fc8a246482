//! Bytes, packets and messages of one app.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use partyline_plugin::Qos;

/// What a connection has decoded and encoded since it was last added up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// All packets, PUBLISH too.
    pub(crate) packets_in: u32,
    pub(crate) messages_in: [u32; 3],
    pub(crate) packets_out: u32,
    /// Messages at QoS 0 that do not come from the session's queue: replies and the welcome.
    pub(crate) replies_out: u32,
}

impl Tally {
    pub(crate) fn message_in(&mut self, qos: Qos) {
        if let Some(count) = self.messages_in.get_mut(usize::from(qos.level())) {
            *count = count.saturating_add(1);
        }
    }
}

/// What one look at a session's queue has sent.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) messages: [u32; 3],
    /// PUBREL of an earlier connection's messages.
    pub(crate) releases: u32,
}

impl Sent {
    pub(crate) fn message(&mut self, qos: Qos) {
        if let Some(count) = self.messages.get_mut(usize::from(qos.level())) {
            *count = count.saturating_add(1);
        }
    }
}

/// Messages that a session's queue did not send.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drops {
    /// For want of room.
    pub(crate) full: u32,
    /// Above the client's Maximum Packet Size.
    pub(crate) too_large: u32,
    /// Their Message Expiry Interval was over.
    pub(crate) expired: u32,
}

impl Drops {
    /// What came since `before`.
    fn since(self, before: Self) -> [u32; 3] {
        [
            self.full.wrapping_sub(before.full),
            self.too_large.wrapping_sub(before.too_large),
            self.expired.wrapping_sub(before.expired),
        ]
    }
}

impl AddAssign for Drops {
    fn add_assign(&mut self, other: Self) {
        self.full = self.full.wrapping_add(other.full);
        self.too_large = self.too_large.wrapping_add(other.too_large);
        self.expired = self.expired.wrapping_add(other.expired);
    }
}

/// One direction, on cache lines of its own: what comes and what goes is mostly counted on
/// different cores.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Direction {
    bytes: AtomicU64,
    packets: AtomicU64,
    messages: [AtomicU64; 3],
}

/// The counters of one app.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: Direction,
    sent: Direction,
    connects: AtomicU64,
    dropped: [AtomicU64; 3],
}

/// Most of what is to be added is 0.
fn add(counter: &AtomicU64, count: impl Into<u64>) {
    let count = count.into();
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

fn add_each(counters: &[AtomicU64], counts: &[u32]) {
    for (counter, count) in counters.iter().zip(counts) {
        add(counter, *count);
    }
}

impl Traffic {
    /// Adds what a connection counted, and begins its count again.
    pub(crate) fn add_tally(&self, tally: &mut Tally) {
        let Tally {
            packets_in,
            messages_in,
            packets_out,
            replies_out,
        } = std::mem::take(tally);
        add(&self.received.packets, packets_in);
        add_each(&self.received.messages, &messages_in);
        add(
            &self.sent.packets,
            u64::from(packets_out) + u64::from(replies_out),
        );
        add_each(&self.sent.messages, &[replies_out]);
    }

    /// Adds bytes of MQTT that a socket moved.
    pub(crate) fn add_bytes(&self, read: usize, written: usize) {
        add(&self.received.bytes, read as u64);
        add(&self.sent.bytes, written as u64);
    }

    pub(crate) fn add_sent(&self, sent: Sent) {
        add_each(&self.sent.messages, &sent.messages);
        let messages: u64 = sent.messages.iter().copied().map(u64::from).sum();
        add(&self.sent.packets, messages + u64::from(sent.releases));
    }

    pub(crate) fn add_drops(&self, before: Drops, now: Drops) {
        if before != now {
            add_each(&self.dropped, &now.since(before));
        }
    }

    pub(crate) fn connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn totals(&self) -> Totals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let each = |counters: &[AtomicU64; 3]| counters.each_ref().map(get);
        Totals {
            bytes_received: get(&self.received.bytes),
            bytes_sent: get(&self.sent.bytes),
            packets_received: get(&self.received.packets),
            packets_sent: get(&self.sent.packets),
            messages_received: each(&self.received.messages),
            messages_sent: each(&self.sent.messages),
            connects: get(&self.connects),
            dropped: each(&self.dropped),
        }
    }
}

/// [`Traffic`] as it was at one time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    /// MQTT packets of every kind.
    pub(crate) packets_received: u64,
    pub(crate) packets_sent: u64,
    /// PUBLISH, by QoS.
    pub(crate) messages_received: [u64; 3],
    pub(crate) messages_sent: [u64; 3],
    /// Connections that got their CONNACK.
    pub(crate) connects: u64,
    /// As in [`Drops`].
    pub(crate) dropped: [u64; 3],
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.packets_received += other.packets_received;
        self.packets_sent += other.packets_sent;
        self.connects += other.connects;
        for (mine, theirs) in [
            (&mut self.messages_received, other.messages_received),
            (&mut self.messages_sent, other.messages_sent),
            (&mut self.dropped, other.dropped),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
    }
}
