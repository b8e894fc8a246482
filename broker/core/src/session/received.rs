//! QoS 2 messages that came and are not released.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use partyline_plugin::{CommandReply, ProtocolVersion, Reason};

use super::Session;
use crate::store::Ticket;

/// Where work leaves its result, for every connection that waits to acknowledge it.
pub(crate) type Slot = Arc<OnceLock<CommandReply>>;

/// How far a QoS 2 message has come.
#[derive(Debug)]
enum Progress {
    /// It is being worked on, perhaps for a connection that is gone.
    InWork(Slot),
    /// It is done; its packet id waits for PUBREL.
    Done,
}

/// What a PUBLISH at QoS 2 is.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// It has not come before.
    New(InWork),
    /// It came before and is worked on: the result will be in the slot.
    InWork(Slot),
    /// It came before and is done.
    Done,
    /// It is new, and too many wait for their PUBREL.
    TooMany,
}

/// The messages by their packet id. Kept over reconnects, so that a message that comes again while
/// it is worked on is not worked on twice.
#[derive(Debug, Default)]
pub(crate) struct Received(HashMap<u16, Progress>);

impl Received {
    /// Takes up what was done and not released when the process ended.
    pub(super) fn restore(&mut self, ids: Vec<u16>) {
        self.0
            .extend(ids.into_iter().map(|id| (id, Progress::Done)));
    }

    /// PUBREL. False if there is nothing to release.
    pub(crate) fn release(&mut self, id: u16) -> bool {
        let done = matches!(self.0.get(&id), Some(Progress::Done));
        if done {
            self.0.remove(&id);
        }
        done
    }
}

impl Session {
    /// A PUBLISH at QoS 2 came; a new one is remembered as being worked on.
    pub(crate) fn receive(self: &Arc<Self>, id: u16, limit: usize) -> Arrival {
        let mut state = self.state();
        let received = &mut state.received.0;
        match received.get(&id) {
            Some(Progress::InWork(slot)) => return Arrival::InWork(Arc::clone(slot)),
            Some(Progress::Done) => return Arrival::Done,
            None if received.len() >= limit => return Arrival::TooMany,
            None => {}
        }
        let slot = Slot::default();
        received.insert(id, Progress::InWork(Arc::clone(&slot)));
        drop(state);
        Arrival::New(InWork {
            session: Arc::clone(self),
            id,
            slot,
        })
    }
}

/// One message in work. Whoever holds it finishes it; when it is dropped unfinished, the message
/// counts as never received.
#[derive(Debug)]
pub(crate) struct InWork {
    session: Arc<Session>,
    id: u16,
    slot: Slot,
}

impl InWork {
    pub(crate) fn slot(&self) -> Slot {
        Arc::clone(&self.slot)
    }

    /// Leaves the result for who repeats the message and wakes the connection that may wait for
    /// it. MQTT 5: a PUBREC with an error frees the packet id at once; 3.1.1 knows no such PUBREC.
    /// The ticket is of the packet id, in a session that is stored.
    pub(crate) fn finish(self, version: ProtocolVersion, result: CommandReply) -> Option<Ticket> {
        let mut ticket = None;
        let mut state = self.session.state();
        let holder = state.attachment.clone();
        // It is acknowledged on the connection that is there now.
        let version = holder
            .as_ref()
            .map_or(version, |one| one.info.load().version);
        let holds = frees_at_pubrel(version, result.reason);
        if let Some(progress) = self.slot_in(&mut state.received) {
            if holds {
                *progress = Progress::Done;
                let rows = state.outbound.rows();
                ticket = rows.map(|rows| rows.receive(self.id));
            } else {
                // Free before the client hears of it, since it may use the id again at once.
                state.received.0.remove(&self.id);
            }
        }
        // Only who holds this sets the slot; under the lock, so that whoever comes to wait for it
        // either finds it or is woken.
        let _ = self.slot.set(result);
        drop(state);
        if let Some(holder) = holder {
            holder.signal.wake();
        }
        ticket
    }

    /// This message's own entry, if it is in work still.
    fn slot_in<'a>(&self, received: &'a mut Received) -> Option<&'a mut Progress> {
        let own = |progress: &&mut Progress| matches!(progress, Progress::InWork(slot) if Arc::ptr_eq(slot, &self.slot));
        received.0.get_mut(&self.id).filter(own)
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        let mut state = self.session.state();
        if self.slot_in(&mut state.received).is_some() {
            state.received.0.remove(&self.id);
        }
    }
}

fn frees_at_pubrel(version: ProtocolVersion, reason: Reason) -> bool {
    version != ProtocolVersion::V5 || !reason.is_error()
}
