//! What the sender is told.

use partyline_protocol::{ClientMessageId, ErrorCode, Member, RequestError, Sent};
use tokio::sync::oneshot;

use crate::store::{KnownSend, NewMessage, Placed, hash_digits};

pub(crate) type Answer = Result<Sent, RequestError>;

/// Who waits for the answer to a send.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) sender: Member,
    pub(crate) client_msg_id: ClientMessageId,
    content_hash: [u8; 32],
    reply: oneshot::Sender<Answer>,
    /// The same send again, in the same batch.
    repetitions: Vec<Repetition>,
}

#[derive(Debug)]
struct Repetition {
    content_hash: [u8; 32],
    reply: oneshot::Sender<Answer>,
}

impl Caller {
    /// A caller, and where the answer comes.
    pub(crate) fn new(
        sender: Member,
        client_msg_id: ClientMessageId,
        content_hash: [u8; 32],
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let caller = Self {
            sender,
            client_msg_id,
            content_hash,
            reply,
            repetitions: Vec::new(),
        };
        (caller, answer)
    }

    /// What makes it one send, however often it comes.
    pub(super) fn key(&self) -> (Member, ClientMessageId) {
        (self.sender.clone(), self.client_msg_id.clone())
    }

    pub(super) fn content_hash(&self) -> [u8; 32] {
        self.content_hash
    }

    /// Takes on a later call with the same key: the outcome of this one answers both.
    pub(super) fn repeated_by(&mut self, other: Self) {
        self.repetitions.push(Repetition {
            content_hash: other.content_hash,
            reply: other.reply,
        });
    }

    /// A refusal. It is not remembered, but holds for what was repeated while it was decided.
    pub(super) fn refuse(self, error: impl Into<RequestError>) {
        self.answer(Err(error.into()));
    }

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

    fn answer(self, answer: Answer) {
        for repetition in self.repetitions {
            let again = if repetition.content_hash == self.content_hash {
                answer.clone().map(|sent| Sent {
                    duplicate: true,
                    ..sent
                })
            } else {
                Err(ErrorCode::IdReused.into())
            };
            // The connection may be gone; the message stays.
            let _ = repetition.reply.send(again);
        }
        let _ = self.reply.send(answer);
    }

    /// The message was on disk before: the answer of then, if it is the same message.
    pub(super) fn answer_again(self, known: &KnownSend) {
        let sent = Sent {
            msg_id: known.id,
            conversation: known.conversation.seen_by(&self.sender),
            seq: known.seq,
            msg_ctime: known.at_ms,
            duplicate: true,
        };
        let first = Repetition {
            content_hash: self.content_hash,
            reply: self.reply,
        };
        for one in self.repetitions.into_iter().chain([first]) {
            let answer = if known.content_hash == hash_digits(&one.content_hash) {
                Ok(sent.clone())
            } else {
                Err(ErrorCode::IdReused.into())
            };
            let _ = one.reply.send(answer);
        }
    }
}
