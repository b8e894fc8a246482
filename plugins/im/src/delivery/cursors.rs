//! Cursor moves on their way to the store.
//!
//! They wait for the next batch of messages, or for [`DELAY`] when none comes, so that an
//! acknowledgement costs no transaction of its own. A move that is lost with the process only
//! means that its items are delivered again.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use partyline_protocol::{RegistrationId, Seq};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::store::{CursorMove, StreamId};

/// How long a move waits for company.
const DELAY: Duration = Duration::from_millis(50);

/// How long moves wait that a database did not take.
const RETRY: Duration = Duration::from_secs(1);

/// Most moves of one transaction.
const MAX_MOVES: usize = 2000;

#[derive(Debug, Default)]
pub(crate) struct Cursors {
    state: Mutex<State>,
    changed: Notify,
}

type Device = (StreamId, RegistrationId);

#[derive(Debug, Clone, Copy)]
struct Way {
    from: Seq,
    to: Seq,
}

impl Way {
    /// Both ways as one, if they join: what lies between two that don't was not acknowledged.
    fn joined(self, other: Self) -> Option<Self> {
        (self.from <= other.to && other.from <= self.to).then(|| Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        })
    }

    /// Where this way leads whoever is at a place.
    fn leads(self, place: Seq) -> Seq {
        if place >= self.from {
            place.max(self.to)
        } else {
            place
        }
    }

    fn of(self, (stream, device): Device) -> CursorMove {
        CursorMove {
            stream,
            device,
            from: self.from,
            to: self.to,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Device, Way>,
    /// In a transaction that has not ended.
    flying: HashMap<Device, Way>,
    /// When the waiting moves are to go even without company.
    due: Option<Instant>,
    /// Who wants to know that their move is on disk.
    witnesses: Vec<(Device, oneshot::Sender<()>)>,
    flying_witnesses: Vec<(Device, oneshot::Sender<()>)>,
}

impl Cursors {
    /// Takes a move.
    pub(crate) fn push(&self, one: CursorMove) {
        self.state.lock().add(one);
        self.changed.notify_one();
    }

    /// Takes a move that somebody waits for; it does not wait for company. The answer fails if
    /// the plugin stops first.
    pub(crate) fn push_urgent(&self, one: CursorMove) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let device = (one.stream, one.device.clone());
        let mut state = self.state.lock();
        state.add(one);
        state.witnesses.push((device, sender));
        drop(state);
        self.changed.notify_one();
        receiver
    }

    /// Waits for a move that was taken before; `None` if all of the device's are on disk.
    pub(crate) fn witness(
        &self,
        stream: StreamId,
        device: &RegistrationId,
    ) -> Option<oneshot::Receiver<()>> {
        let key = (stream, device.clone());
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if state.waiting.contains_key(&key) {
            state.witnesses.push((key, sender));
        } else if state.flying.contains_key(&key) {
            state.flying_witnesses.push((key, sender));
        } else {
            return None;
        }
        drop(state);
        self.changed.notify_one();
        Some(receiver)
    }

    /// Where a device is, when the store says `stored`.
    pub(crate) fn ahead_of(&self, stream: StreamId, device: &RegistrationId, stored: Seq) -> Seq {
        let state = self.state.lock();
        let key = (stream, device.clone());
        let ways = [state.flying.get(&key), state.waiting.get(&key)];
        let ways = ways.into_iter().flatten();
        ways.fold(stored, |place, way| way.leads(place))
    }

    /// The way of a device that is not on disk yet.
    pub(crate) fn under_way(
        &self,
        stream: StreamId,
        device: &RegistrationId,
    ) -> Option<CursorMove> {
        let state = self.state.lock();
        let key = (stream, device.clone());
        let ways = [state.flying.get(&key), state.waiting.get(&key)];
        let ways = ways.into_iter().flatten().copied();
        let way = ways.reduce(|old, new| old.joined(new).unwrap_or(new))?;
        Some(way.of(key))
    }

    /// Drops what waits of a device whose place was set anew.
    pub(crate) fn forget(&self, stream: StreamId, device: &RegistrationId) {
        let mut state = self.state.lock();
        let key = (stream, device.clone());
        state.waiting.remove(&key);
        state.witnesses.retain(|(other, _)| *other != key);
    }

    /// Whether moves should be written even if no message is.
    pub(crate) fn are_due(&self) -> bool {
        let state = self.state.lock();
        !state.witnesses.is_empty() || state.due.is_some_and(|due| due <= Instant::now())
    }

    /// Returns once [`are_due`](Self::are_due).
    pub(crate) async fn due(&self) {
        while !self.are_due() {
            let due = self.state.lock().due;
            match due {
                None => self.changed.notified().await,
                Some(due) => tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// The moves for the next transaction. [`landed`](Self::landed),
    /// [`failed`](Self::failed) or [`put_back`](Self::put_back) says how it ended, before the next
    /// ones are taken.
    pub(crate) fn take(&self) -> Vec<CursorMove> {
        let mut state = self.state.lock();
        if state.waiting.len() <= MAX_MOVES {
            state.flying = std::mem::take(&mut state.waiting);
            state.due = None;
        } else {
            let some: Vec<Device> = state.waiting.keys().take(MAX_MOVES).cloned().collect();
            state.flying = some
                .into_iter()
                .filter_map(|device| state.waiting.remove_entry(&device))
                .collect();
        }
        let State {
            witnesses,
            flying,
            flying_witnesses,
            ..
        } = &mut *state;
        let (with, without) = witnesses
            .drain(..)
            .partition(|(device, _)| flying.contains_key(device));
        (*flying_witnesses, *witnesses) = (with, without);
        let moves = flying.iter().map(|(device, way)| way.of(device.clone()));
        moves.collect()
    }

    /// The moves that were taken are on disk.
    pub(crate) fn landed(&self) {
        let mut state = self.state.lock();
        state.flying.clear();
        for (_, witness) in state.flying_witnesses.drain(..) {
            // Whoever does not wait any more need not know.
            let _ = witness.send(());
        }
    }

    /// The database did not take the moves: they wait again.
    pub(crate) fn failed(&self) {
        let mut state = self.state.lock();
        state.flying_back();
        state.due = Some(Instant::now() + RETRY);
        // The witnesses are not kept: a failing database is no reason to make a client wait.
        state.flying_witnesses.clear();
    }

    /// The transaction failed for another reason than these moves: they go with the next one.
    pub(crate) fn put_back(&self) {
        let mut state = self.state.lock();
        state.flying_back();
        state.due.get_or_insert_with(Instant::now);
        let State {
            witnesses,
            flying_witnesses,
            ..
        } = &mut *state;
        witnesses.append(flying_witnesses);
        drop(state);
        self.changed.notify_one();
    }
}

impl State {
    fn add(&mut self, one: CursorMove) {
        self.due.get_or_insert_with(|| Instant::now() + DELAY);
        let way = Way {
            from: one.from,
            to: one.to,
        };
        // The newer of two that don't join is where the device is now.
        self.waiting
            .entry((one.stream, one.device))
            .and_modify(|known| *known = known.joined(way).unwrap_or(way))
            .or_insert(way);
    }

    fn flying_back(&mut self) {
        for (device, way) in std::mem::take(&mut self.flying) {
            self.waiting
                .entry(device)
                .and_modify(|newer| *newer = way.joined(*newer).unwrap_or(*newer))
                .or_insert(way);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: u64, to: u64) -> CursorMove {
        CursorMove {
            stream: StreamId(1),
            device: RegistrationId::parse("phone").unwrap(),
            from: Seq::parse(from).unwrap(),
            to: Seq::parse(to).unwrap(),
        }
    }

    fn place(cursors: &Cursors, stored: u64) -> u64 {
        let device = RegistrationId::parse("phone").unwrap();
        cursors
            .ahead_of(StreamId(1), &device, Seq::parse(stored).unwrap())
            .get()
    }

    #[test]
    fn moves_of_a_device_become_one() {
        let cursors = Cursors::default();
        cursors.push(step(3, 5));
        cursors.push(step(5, 9));
        assert_eq!(place(&cursors, 3), 9);
        assert_eq!(
            place(&cursors, 2),
            2,
            "what lies before was not acknowledged"
        );
        assert_eq!(cursors.take(), [step(3, 9)]);
        cursors.push(step(9, 12));
        assert_eq!(
            place(&cursors, 3),
            12,
            "over the move in flight and the waiting one"
        );
        cursors.failed();
        assert_eq!(cursors.take(), [step(3, 12)]);
        cursors.landed();
        assert_eq!(cursors.take(), []);
        assert_eq!(place(&cursors, 3), 3);
    }

    #[tokio::test]
    async fn a_witness_is_told_after_the_commit() {
        let cursors = Cursors::default();
        let told = cursors.push_urgent(step(0, 1));
        cursors.due().await;
        cursors.take();
        cursors.landed();
        told.await.unwrap();
        let told = cursors.push_urgent(step(1, 2));
        cursors.take();
        cursors.failed();
        assert!(told.await.is_err());
    }

    #[tokio::test]
    async fn whoever_asks_again_waits_for_the_same_commit() {
        let cursors = Cursors::default();
        let again = |cursors: &Cursors| {
            let device = RegistrationId::parse("phone").unwrap();
            cursors.witness(StreamId(1), &device)
        };
        assert!(again(&cursors).is_none());
        cursors.push(step(0, 1));
        let waiting = again(&cursors).unwrap();
        cursors.due().await;
        assert_eq!(cursors.take(), [step(0, 1)]);
        let flying = again(&cursors).unwrap();
        // A message at fault in the same transaction is no reason to tell them anything.
        cursors.put_back();
        cursors.due().await;
        assert_eq!(cursors.take(), [step(0, 1)]);
        cursors.landed();
        waiting.await.unwrap();
        flying.await.unwrap();
        assert!(again(&cursors).is_none());
    }

    #[test]
    fn moves_that_do_not_join_stay_apart() {
        let cursors = Cursors::default();
        cursors.push(step(7, 9));
        cursors.push(step(0, 3));
        assert_eq!(place(&cursors, 0), 3, "4 to 7 were not acknowledged");
        assert_eq!(cursors.take(), [step(0, 3)]);
        cursors.push(step(5, 6));
        assert_eq!(place(&cursors, 0), 3);
        cursors.failed();
        assert_eq!(cursors.take(), [step(5, 6)]);
        cursors.landed();
        cursors.push(step(7, 9));
        cursors.forget(StreamId(1), &step(7, 9).device);
        assert_eq!(place(&cursors, 7), 7);
    }
}
