//! What was sent and not yet acknowledged, and the packet ids it holds.

use std::collections::VecDeque;
use std::sync::Arc;

use partyline_plugin::TrackedOutcome;
use tokio::sync::oneshot;

use super::{Matched, Publication};
use crate::store::{Row, Stage, Ticket};

/// What the client's next acknowledgement of a message must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    /// PUBACK.
    Ack,
    /// PUBREC.
    Rec,
    /// PUBCOMP.
    Comp,
}

impl Awaits {
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Ack => Stage::Ack,
            Self::Rec => Stage::Rec,
            Self::Comp => Stage::Comp,
        }
    }
}

/// What was sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// A routed message, sent again after a reconnect.
    Plain {
        publication: Arc<Publication>,
        retain: bool,
        matched: Option<Arc<Matched>>,
    },
    /// A plugin's delivery, which ends with the connection.
    Tracked(Option<oneshot::Sender<TrackedOutcome>>),
    /// Was dropped; only its packet id still waits for the client.
    Void,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u16,
    pub(super) awaits: Awaits,
    pub(super) sent: Sent,
    /// In a session that is stored.
    row: Option<Box<Row>>,
    /// What must be on disk before the next packet about it goes out.
    pub(super) ticket: Option<Ticket>,
    /// It was sent before, on this connection or another.
    pub(super) dup: bool,
    /// It is to be sent on this connection.
    again: bool,
}

impl Entry {
    /// Whether what must be on disk is.
    pub(super) fn is_ready(&self) -> bool {
        match (&self.row, self.ticket) {
            (Some(row), Some(ticket)) => row.is_committed(ticket),
            _ => true,
        }
    }
}

/// What a PUBREC did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// PUBREL is to follow now.
    Now,
    /// When this is on disk.
    At(Ticket),
    /// The id is not outstanding at QoS 2.
    Unknown,
}

impl Sent {
    /// Bytes that it keeps.
    fn weight(&self) -> usize {
        match self {
            Self::Plain {
                publication,
                matched,
                ..
            } => publication.weight() + Matched::weight(matched.as_ref()),
            Self::Tracked(_) | Self::Void => 0,
        }
    }
}

/// Unacknowledged messages in the order in which they were sent.
#[derive(Debug)]
pub(super) struct InFlight {
    entries: VecDeque<Entry>,
    /// How many of them are to be sent again.
    again: usize,
    /// What their messages weigh.
    bytes: usize,
    /// Goes on over reconnects, so that a late acknowledgement of an old connection names nothing
    /// that is outstanding on the new one.
    last_id: u16,
}

impl InFlight {
    /// Empty; packet ids begin after `last_id`.
    pub(super) fn new(last_id: u16) -> Self {
        Self {
            entries: VecDeque::new(),
            again: 0,
            bytes: 0,
            last_id,
        }
    }

    /// Messages that were sent, or will be as soon as they may.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Messages that were sent on this connection.
    pub(super) fn outstanding(&self) -> usize {
        self.entries.len() - self.again
    }

    /// Whether one more message may be sent: what is kept to be sent again is bounded by bytes,
    /// but one message is always let through.
    pub(super) fn has_room(&self, max_bytes: usize) -> bool {
        self.entries.is_empty() || self.bytes < max_bytes
    }

    /// Keeps what outlives a connection, all of it to be sent again.
    pub(super) fn detach(&mut self) {
        self.entries.retain(|entry| {
            // What cannot be sent again can never be acknowledged, but it can be released.
            entry.awaits == Awaits::Comp || matches!(entry.sent, Sent::Plain { .. })
        });
        for entry in &mut self.entries {
            entry.again = true;
        }
        self.again = self.entries.len();
    }

    /// The session is not stored any more.
    pub(super) fn forget_rows(&mut self) {
        for entry in &mut self.entries {
            (entry.row, entry.ticket) = (None, None);
        }
    }

    /// Takes up what was in flight when the process ended, in the order of sending.
    pub(super) fn restore(&mut self, id: u16, awaits: Awaits, sent: Sent, row: Box<Row>) {
        self.bytes += sent.weight();
        self.again += 1;
        self.last_id = id;
        self.entries.push_back(Entry {
            id,
            awaits,
            sent,
            row: Some(row),
            ticket: None,
            // Whether it was sent cannot be known.
            dup: true,
            again: true,
        });
    }

    /// The oldest message that is to be sent, for the first time or again.
    pub(super) fn first_again(&self) -> Option<&Entry> {
        if self.again == 0 {
            return None;
        }
        self.entries.iter().find(|entry| entry.again)
    }

    /// It was sent.
    pub(super) fn sent_again(&mut self, id: u16) {
        let entry = self.find(id).and_then(|at| self.entries.get_mut(at));
        if let Some(entry) = entry.filter(|entry| entry.again) {
            (entry.again, entry.dup) = (false, true);
            self.again -= 1;
        }
    }

    fn remove(&mut self, at: usize) -> Option<Entry> {
        let entry = self.entries.remove(at)?;
        self.again -= usize::from(entry.again);
        self.bytes -= entry.sent.weight();
        Some(entry)
    }

    /// Forgets a message that cannot be sent again.
    pub(super) fn forget(&mut self, id: u16) {
        if let Some(at) = self.find(id) {
            self.remove(at);
        }
    }

    /// Takes the next free packet id. The caller keeps the window far below 65,535.
    pub(super) fn next_id(&mut self) -> u16 {
        let mut id = self.last_id;
        loop {
            id = id.checked_add(1).unwrap_or(1);
            if self.find(id).is_none() {
                break;
            }
        }
        self.last_id = id;
        id
    }

    /// A message was sent with an id of [`next_id`](Self::next_id), or is to be sent later.
    ///
    /// At QoS 2 the id must be on disk before the client learns it: with another one after a crash
    /// it would take the message for a new one.
    pub(super) fn push(&mut self, id: u16, awaits: Awaits, sent: Sent, mut row: Option<Box<Row>>) {
        let stored = row.as_mut().map(|row| row.sent(id, awaits.stage()));
        let ticket = stored.filter(|_| awaits == Awaits::Rec);
        let again = ticket.is_some();
        self.again += usize::from(again);
        self.bytes += sent.weight();
        self.entries.push_back(Entry {
            id,
            awaits,
            sent,
            row,
            ticket,
            dup: !again,
            again,
        });
    }

    fn find(&self, id: u16) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    /// Ends the message with this id if it awaits this acknowledgement.
    pub(super) fn finish(&mut self, id: u16, awaits: Awaits) -> Option<Entry> {
        let at = self.find(id)?;
        (self.entries.get(at)?.awaits == awaits)
            .then(|| self.remove(at))
            .flatten()
    }

    /// The message with this id, if it was sent at QoS 2 and no PUBREC has come for it.
    pub(super) fn awaiting_rec(&self, id: u16) -> Option<&Publication> {
        let entry = self.entries.get(self.find(id)?)?;
        match &entry.sent {
            Sent::Plain { publication, .. } if entry.awaits == Awaits::Rec => Some(publication),
            _ => None,
        }
    }

    /// A PUBREC came: the message now awaits PUBCOMP. That must be on disk before PUBREL goes out:
    /// a client that has released the id would take the message for a new one.
    pub(super) fn received(&mut self, id: u16) -> Release {
        let entry = self.find(id).and_then(|at| self.entries.get_mut(at));
        let Some(entry) = entry.filter(|entry| entry.awaits != Awaits::Ack) else {
            return Release::Unknown;
        };
        if entry.awaits == Awaits::Rec {
            entry.awaits = Awaits::Comp;
            entry.ticket = entry.row.as_mut().map(|row| row.received());
            // The client has it: only its packet id is still needed.
            self.bytes -= entry.sent.weight();
            entry.sent = Sent::Void;
        }
        match entry.ticket {
            Some(ticket) if !entry.is_ready() => Release::At(ticket),
            _ => Release::Now,
        }
    }

    /// Drops the messages that `drop` takes, which learns whether they were sent before; their packet
    /// ids still wait for the client.
    pub(super) fn drop_sent(&mut self, mut drop: impl FnMut(Awaits, bool, &mut Sent) -> bool) {
        for entry in &mut self.entries {
            let weight = entry.sent.weight();
            if drop(entry.awaits, entry.dup, &mut entry.sent) {
                self.bytes -= weight;
                entry.sent = Sent::Void;
                entry.row = None;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
