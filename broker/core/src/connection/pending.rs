//! Acknowledgements in the order of arrival ([MQTT-4.6.0-2] and following), over commands that
//! finish in any order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use partyline_plugin::{MessageProperties, ProtocolVersion, Qos, Refusal};
use tokio::time::Instant;

use crate::codec::{Answer, Codec, encode_publish};
use crate::session::Slot;

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
}

#[derive(Debug)]
struct Entry {
    id: u16,
    qos: Qos,
    work: Work,
}

#[derive(Debug)]
pub(super) struct Pending {
    entries: VecDeque<Entry>,
    /// Messages that may be unacknowledged.
    limit: usize,
    timeout: Duration,
}

impl Pending {
    pub(super) fn new(limit: u16, timeout_secs: u16) -> Self {
        let timeout = Duration::from_secs(timeout_secs.into());
        Self {
            entries: VecDeque::new(),
            limit: limit.into(),
            timeout,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
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

    /// When the oldest running command is too late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.entries.iter().find_map(|entry| match &entry.work {
            Work::Running { deadline, .. } => Some(*deadline),
            Work::Done(_) => None,
        })
    }

    /// Writes the replies that are there, and the acknowledgements whose turn has come.
    pub(super) fn settle(&mut self, codec: &mut Codec, output: &mut BytesMut) {
        for entry in &mut self.entries {
            if let Work::Running { slot, reply, .. } = &mut entry.work
                && let Some(result) = slot.get()
            {
                if let Some(to) = reply.take() {
                    write_reply(codec, &to, result.payload.clone(), output);
                }
                entry.work = Work::Done(result.reason.into());
            }
        }
        while let Some(Entry {
            work: Work::Done(why),
            id,
            qos,
        }) = self.entries.front()
        {
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
