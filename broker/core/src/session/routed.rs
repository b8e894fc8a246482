//! The lane of routed messages.
//!
//! Bounded by count and bytes, though an empty one takes any one message. When it is full, what has
//! expired goes first, then the oldest messages of QoS 0; where that makes no room, the newest
//! message is refused. Whatever goes is counted.

use std::collections::VecDeque;
use std::sync::Arc;

use partyline_plugin::{DropReason, Qos};
use tokio::time::Instant;

use super::tell::Teller;
use super::{Enqueued, Matched, Publication};
use crate::config::LimitsConfig;
use crate::metrics::Drops;
use crate::store::Row;

#[derive(Debug)]
pub(super) struct Routed {
    pub(super) publication: Arc<Publication>,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) matched: Option<Arc<Matched>>,
    /// A retained message that a subscription asked for. The store holds it anyway and only some
    /// are taken at once, so it does not count.
    pub(super) owed: bool,
    /// In a session that is stored, above QoS 0.
    pub(super) row: Option<Box<Row>>,
}

impl Routed {
    fn weight(&self) -> usize {
        self.publication.weight() + Matched::weight(self.matched.as_ref())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Load {
    count: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, weight: usize) {
        self.count += 1;
        self.bytes += weight;
    }

    fn take(&mut self, weight: usize) {
        self.count -= 1;
        self.bytes -= weight;
    }

    fn has_room(self, limits: &LimitsConfig, weight: usize) -> bool {
        let fits = self.bytes + weight <= limits.queued_bytes;
        self.count == 0 || (self.count < limits.queued_messages && fits)
    }
}

#[derive(Debug, Default)]
pub(super) struct RoutedLane {
    entries: VecDeque<Routed>,
    /// All that counts.
    load: Load,
    /// The part of it that is sent at QoS 0.
    unassured: Load,
    /// Messages that are owed.
    owed: usize,
    /// Nothing in it expires before this.
    expiry: Option<Instant>,
    /// Messages that were dropped for want of room, or because they had expired.
    pub(super) drops: Drops,
    pub(super) teller: Teller,
}

impl RoutedLane {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many of the waiting messages are owed.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// The newest message.
    pub(super) fn back_mut(&mut self) -> Option<&mut Routed> {
        self.entries.back_mut()
    }

    /// The session is not stored any more.
    pub(super) fn forget_rows(&mut self) {
        for routed in &mut self.entries {
            routed.row = None;
        }
    }

    pub(super) fn front(&self) -> Option<&Routed> {
        self.entries.front()
    }

    /// Whether there is room for so many bytes once what has expired is gone. With `displacing`, once
    /// messages of QoS 0 are dropped for it, too; they are not yet.
    pub(super) fn has_room(
        &mut self,
        limits: &LimitsConfig,
        weight: usize,
        displacing: bool,
    ) -> bool {
        if self.load.has_room(limits, weight) {
            return true;
        }
        self.drop_expired(Instant::now());
        let assured = displacing && self.assured().has_room(limits, weight);
        assured || self.load.has_room(limits, weight)
    }

    pub(super) fn push(&mut self, limits: &LimitsConfig, routed: Routed) -> Enqueued {
        let weight = routed.weight();
        if !self.load.has_room(limits, weight) {
            self.drop_expired(Instant::now());
            self.make_room(limits, weight);
            if !self.load.has_room(limits, weight) {
                self.drops.full = self.drops.full.wrapping_add(1);
                let why = DropReason::QueueFull;
                self.teller.dropped(&routed.publication, why);
                return Enqueued::Full;
            }
        }
        self.put(routed);
        Enqueued::Waiting
    }

    /// Takes it without asking for room.
    pub(super) fn put(&mut self, routed: Routed) {
        self.count(&routed);
        self.entries.push_back(routed);
    }

    pub(super) fn pop(&mut self) -> Option<Routed> {
        let routed = self.entries.pop_front()?;
        self.discount(&routed);
        Some(routed)
    }

    /// Drops all but what `wanted` takes, uncounted.
    pub(super) fn keep(&mut self, wanted: impl FnMut(&Routed) -> bool) {
        self.entries.retain(wanted);
        (self.load, self.unassured) = (Load::default(), Load::default());
        (self.owed, self.expiry) = (0, None);
        let entries = std::mem::take(&mut self.entries);
        for routed in &entries {
            self.count(routed);
        }
        self.entries = entries;
    }

    fn count(&mut self, routed: &Routed) {
        if routed.owed {
            self.owed += 1;
            return;
        }
        let weight = routed.weight();
        self.load.add(weight);
        if routed.qos == Qos::AtMostOnce {
            self.unassured.add(weight);
        }
        let expiry = [self.expiry, routed.publication.expires()];
        self.expiry = expiry.into_iter().flatten().min();
    }

    fn discount(&mut self, routed: &Routed) {
        if routed.owed {
            self.owed -= 1;
            return;
        }
        let weight = routed.weight();
        self.load.take(weight);
        if routed.qos == Qos::AtMostOnce {
            self.unassured.take(weight);
        }
    }

    /// The part that is sent above QoS 0.
    fn assured(&self) -> Load {
        Load {
            count: self.load.count - self.unassured.count,
            bytes: self.load.bytes - self.unassured.bytes,
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        if self.expiry.is_some_and(|expiry| expiry <= now) {
            let before = self.entries.len();
            let teller = self.teller.clone();
            self.keep(|routed| {
                let expired = routed.publication.expired(now);
                if expired {
                    teller.dropped(&routed.publication, DropReason::Expired);
                }
                !expired
            });
            let expired = u32::try_from(before - self.entries.len()).unwrap_or(u32::MAX);
            self.drops.expired = self.drops.expired.wrapping_add(expired);
        }
    }

    /// Drops the oldest messages of QoS 0, if that helps.
    fn make_room(&mut self, limits: &LimitsConfig, weight: usize) {
        if !self.assured().has_room(limits, weight) {
            return;
        }
        while !self.load.has_room(limits, weight) {
            let oldest = |one: &Routed| one.qos == Qos::AtMostOnce && !one.owed;
            let oldest = self.entries.iter().position(oldest);
            let Some(routed) = oldest.and_then(|at| self.entries.remove(at)) else {
                return;
            };
            self.discount(&routed);
            self.drops.full = self.drops.full.wrapping_add(1);
            let why = DropReason::QueueFull;
            self.teller.dropped(&routed.publication, why);
        }
    }
}
