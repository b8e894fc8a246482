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
    /// Both ways as one. A device's ways join: each begins where its cursor was.
    fn with(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Device, Way>,
    /// In a transaction that has not ended.
    flying: HashMap<Device, Way>,
    /// When the oldest waiting move came.
    since: Option<Instant>,
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

    /// Where a device is, when the store says `stored`.
    pub(crate) fn ahead_of(&self, stream: StreamId, device: &RegistrationId, stored: Seq) -> Seq {
        match self.under_way(stream, device) {
            Some(way) if stored >= way.from => stored.max(way.to),
            _ => stored,
        }
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
        let way = ways.into_iter().flatten().copied().reduce(Way::with)?;
        Some(CursorMove {
            stream,
            device: key.1,
            from: way.from,
            to: way.to,
        })
    }

    /// Returns once moves should be written even if no message is.
    pub(crate) async fn due(&self) {
        loop {
            let since = {
                let state = self.state.lock();
                if !state.witnesses.is_empty() {
                    return;
                }
                state.since
            };
            match since {
                None => self.changed.notified().await,
                Some(since) => tokio::select! {
                    () = tokio::time::sleep_until(since + DELAY) => return,
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// The moves for the next transaction. [`landed`](Self::landed) or [`failed`](Self::failed)
    /// says how it ended, before the next ones are taken.
    pub(crate) fn take(&self) -> Vec<CursorMove> {
        let mut state = self.state.lock();
        if state.waiting.len() <= MAX_MOVES {
            state.flying = std::mem::take(&mut state.waiting);
            state.since = None;
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
        let moves = flying.iter().map(|((stream, device), way)| CursorMove {
            stream: *stream,
            device: device.clone(),
            from: way.from,
            to: way.to,
        });
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

    /// The moves that were taken are not on disk: they wait again.
    pub(crate) fn failed(&self) {
        let mut state = self.state.lock();
        for ((stream, device), way) in std::mem::take(&mut state.flying) {
            state.add(CursorMove {
                stream,
                device,
                from: way.from,
                to: way.to,
            });
        }
        // The witnesses are not kept: a failing database is no reason to make a client wait.
        state.flying_witnesses.clear();
    }
}

impl State {
    fn add(&mut self, one: CursorMove) {
        self.since.get_or_insert_with(Instant::now);
        let way = Way {
            from: one.from,
            to: one.to,
        };
        self.waiting
            .entry((one.stream, one.device))
            .and_modify(|known| *known = known.with(way))
            .or_insert(way);
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
}
