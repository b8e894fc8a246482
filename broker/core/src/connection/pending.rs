//! Acknowledgements in the order of arrival ([MQTT-4.6.0-2] and following), over commands that
//! finish in any order and messages that wait for the disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use partyline_plugin::{MessageProperties, ProtocolVersion, Qos, Reason, Refusal};
use tokio::time::Instant;

use crate::codec::{Answer, Codec, encode_publish};
use crate::session::{Attachment, Slot};
use crate::store::{Journal, Ticket};

/// Where and how a command is answered.
#[derive(Debug)]
pub(super) struct ReplyTo {
    pub(super) topic: Box<str>,
    pub(super) correlation: Option<Bytes>,
}

#[derive(Debug)]
enum Work {
    Done(Refusal),
    Running {
        slot: Slot,
        reply: Option<ReplyTo>,
        deadline: Instant,
    },
    /// It is done when the ticket's changes are on disk.
    Storing {
        why: Refusal,
        ticket: Ticket,
        deadline: Instant,
    },
}

#[derive(Debug)]
struct Entry {
    id: u16,
    qos: Qos,
    work: Work,
}

/// A PUBCOMP.
#[derive(Debug)]
struct Release {
    id: u16,
    reason: Reason,
    ticket: Ticket,
    deadline: Instant,
}

#[derive(Debug)]
pub(super) struct Pending {
    entries: VecDeque<Entry>,
    /// PUBCOMPs that wait for the disk.
    releases: VecDeque<Release>,
    /// Which ticket the journal was asked to wake the connection at.
    asked: Option<Ticket>,
    /// Messages that may be unacknowledged.
    limit: usize,
    timeout: Duration,
}

impl Pending {
    pub(super) fn new(limit: u16, timeout_secs: u16) -> Self {
        let timeout = Duration::from_secs(timeout_secs.into());
        Self {
            entries: VecDeque::new(),
            releases: VecDeque::new(),
            asked: None,
            limit: limit.into(),
            timeout,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit || self.releases.len() >= self.limit
    }

    /// Whether a QoS 2 message with this id is still being worked on.
    pub(super) fn has_qos2(&self, id: u16) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.id == id && entry.qos == Qos::ExactlyOnce)
    }

    /// A message whose work is done: its acknowledgement waits its turn.
    pub(super) fn done(&mut self, id: u16, qos: Qos, reason: impl Into<Refusal>) {
        if qos != Qos::AtMostOnce {
            let work = Work::Done(reason.into());
            self.entries.push_back(Entry { id, qos, work });
        }
    }

    /// A message whose work is done when the ticket's changes are on disk.
    pub(super) fn storing(&mut self, id: u16, qos: Qos, why: Refusal, ticket: Ticket) {
        if qos != Qos::AtMostOnce {
            let deadline = Instant::now() + self.timeout;
            let work = Work::Storing {
                why,
                ticket,
                deadline,
            };
            self.entries.push_back(Entry { id, qos, work });
        }
    }

    /// Whether a PUBCOMP for this packet id waits for the disk.
    pub(super) fn is_releasing(&self, id: u16) -> bool {
        self.releases.iter().any(|release| release.id == id)
    }

    /// A packet id that is free when the ticket's changes are on disk.
    pub(super) fn releasing(&mut self, id: u16, reason: Reason, ticket: Ticket) {
        let deadline = Instant::now() + self.timeout;
        self.releases.push_back(Release {
            id,
            reason,
            ticket,
            deadline,
        });
    }

    /// Work that goes on: a command, or a message that another connection of the session began.
    pub(super) fn running(&mut self, id: u16, qos: Qos, slot: Slot, reply: Option<ReplyTo>) {
        let deadline = Instant::now() + self.timeout;
        let work = Work::Running {
            slot,
            reply,
            deadline,
        };
        self.entries.push_back(Entry { id, qos, work });
    }

    /// When the oldest of what is waited for is too late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let oldest = self.entries.iter().find_map(|entry| match &entry.work {
            Work::Running { deadline, .. } | Work::Storing { deadline, .. } => Some(*deadline),
            Work::Done(_) => None,
        });
        let release = self.releases.front().map(|release| release.deadline);
        oldest.into_iter().chain(release).min()
    }

    /// Writes the replies that are there, and the acknowledgements whose turn has come. The journal
    /// wakes the connection for the next that wait for it.
    pub(super) fn settle(
        &mut self,
        journal: &Journal,
        attachment: &Arc<Attachment>,
        codec: &mut Codec,
        output: &mut BytesMut,
    ) {
        self.write_acknowledgements(journal, codec, output);
        while let Some(release) = self.releases.front()
            && journal.is_committed(release.ticket)
        {
            codec.ack(Answer::Comp, release.id, release.reason, output);
            self.releases.pop_front();
        }
        let next = match self.entries.front() {
            Some(Entry {
                work: Work::Storing { ticket, .. },
                ..
            }) => Some(*ticket),
            _ => None,
        };
        let release = self.releases.front().map(|release| release.ticket);
        let next = next.into_iter().chain(release).min();
        if next != self.asked {
            self.asked = next;
            if let Some(ticket) = next {
                journal.wake_at(ticket, attachment);
            }
        }
    }

    fn write_acknowledgements(
        &mut self,
        journal: &Journal,
        codec: &mut Codec,
        output: &mut BytesMut,
    ) {
        for entry in &mut self.entries {
            if let Work::Running {
                slot,
                reply,
                deadline,
            } = &mut entry.work
                && let Some(result) = slot.get()
            {
                if let Some(to) = reply.take() {
                    write_reply(codec, &to, result.payload.clone(), output);
                }
                let (reason, deadline) = (result.reason.into(), *deadline);
                entry.work = if entry.qos == Qos::ExactlyOnce {
                    // Its packet id may be on its way to the disk.
                    let ticket = journal.latest();
                    Work::Storing {
                        why: reason,
                        ticket,
                        deadline,
                    }
                } else {
                    Work::Done(reason)
                };
            }
        }
        while let Some(Entry { work, id, qos }) = self.entries.front() {
            let why = match work {
                Work::Done(why) => why,
                Work::Storing { why, ticket, .. } if journal.is_committed(*ticket) => why,
                Work::Storing { .. } | Work::Running { .. } => return,
            };
            match qos {
                Qos::AtMostOnce => {}
                Qos::AtLeastOnce => codec.ack_because(Answer::Ack, *id, why, output),
                Qos::ExactlyOnce => codec.ack_because(Answer::Rec, *id, why, output),
            }
            self.entries.pop_front();
        }
    }
}

/// A reply goes at QoS 0: it needs no subscription, and on one ordered connection it can only be
/// lost together with the acknowledgement that follows it. One that is too large for the client is
/// left out, as MQTT 5 has it; the acknowledgement still says how the command ended.
pub(super) fn write_reply(codec: &mut Codec, to: &ReplyTo, payload: Bytes, output: &mut BytesMut) {
    let v5 = codec.version() == ProtocolVersion::V5;
    let mut properties = MessageProperties::default();
    properties.correlation_data.clone_from(&to.correlation);
    let frame = encode_publish(v5, &to.topic, payload, false, Some(&properties), None);
    if let Some(frame) = frame.filter(|frame| codec.fits(frame.len())) {
        frame.write(Qos::AtMostOnce, 0, false, false, output);
        codec.tally.replies_out += 1;
    }
}
