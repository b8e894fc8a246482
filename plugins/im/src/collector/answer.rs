//! What the sender is told.

use partyline_protocol::{ErrorCode, Sent};

use super::Queued;
use crate::store::{KnownSend, NewMessage, Placed, hash_digits};

impl Queued {
    /// The message is on disk.
    pub(super) fn answer_stored(self, message: &NewMessage, placed: &Placed) {
        let sent = Sent {
            msg_id: message.id,
            conversation: message.conversation.seen_by(&self.sender),
            seq: placed.seq,
            msg_ctime: message.at_ms,
            duplicate: false,
        };
        self.answer(Ok(sent));
    }

    /// The message was on disk before: the answer of then, if it is the same message.
    pub(super) fn answer_again(self, known: &KnownSend) {
        if known.content_hash != hash_digits(&self.content_hash) {
            return self.answer(Err(ErrorCode::IdReused.into()));
        }
        let sent = Sent {
            msg_id: known.id,
            conversation: known.conversation.seen_by(&self.sender),
            seq: known.seq,
            msg_ctime: known.at_ms,
            duplicate: true,
        };
        self.answer(Ok(sent));
    }
}
