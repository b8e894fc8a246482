//! What becomes of a batch, and of the cursor with it.

use partyline_plugin::TrackedOutcome;
use partyline_protocol::{AckMode, Epoch, ErrorCode, RequestError, Seq};

use super::{Delivery, Inbox, Known, Sending};
use crate::store::{CursorMove, StreamId};

/// What an acknowledgement by hand did.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) stream: StreamId,
    /// Where the device's cursor stands.
    pub(crate) cursor: Seq,
    /// Its way there; `None` if it was there before.
    pub(crate) moved: Option<CursorMove>,
}

impl Inbox {
    /// A batch is about to be sent.
    pub(in crate::delivery) fn sending(&self, seq: Seq) {
        if let Some(place) = &mut self.state.lock().place {
            place.prev = seq;
            place.sent = place.sent.max(seq);
            place.untouched = false;
        }
    }

    /// How a batch ended. Gives the way of the cursor where it moved.
    pub(in crate::delivery) fn settled(
        &self,
        outcome: TrackedOutcome,
        batch: &Sending,
        seq: Seq,
    ) -> Option<CursorMove> {
        let mut state = self.state.lock();
        match outcome {
            TrackedOutcome::Acked if state.settings.ack == AckMode::Auto => {
                let place = state
                    .place
                    .as_mut()
                    .filter(|place| place.epoch == batch.epoch)?;
                // Only from where the batch began: what lies before it may be missing.
                (place.cursor >= batch.prev)
                    .then(|| self.advance(place, seq))
                    .flatten()
            }
            // What was full is offered again.
            TrackedOutcome::Acked | TrackedOutcome::Full => None,
            // Sent again once the client asks: by a subscription, a sync or configure.
            TrackedOutcome::Refused(_) | TrackedOutcome::TooLarge => {
                if state.delivery == Delivery::Open {
                    state.delivery = Delivery::Refused;
                }
                self.looked.notify_waiters();
                None
            }
            TrackedOutcome::Gone => {
                state.delivery = Delivery::Over;
                self.looked.notify_waiters();
                None
            }
        }
    }

    /// A batch found no room in the queue of its connection: it did not go, and goes again.
    pub(in crate::delivery) fn unsent(&self, batch: &Sending, seq: Seq) {
        if let Some(place) = &mut self.state.lock().place
            && place.epoch == batch.epoch
        {
            place.prev = batch.prev;
            place.untouched = batch.untouched;
            // A page by hand may have gone further in the meantime.
            if place.sent == seq {
                place.sent = batch.sent;
            }
        }
    }

    /// A page that the client asked for by hand: it counts as sent if it joins what was sent.
    pub(crate) fn paged(&self, epoch: &Epoch, prev: Seq, seq: Seq) {
        if let Some(place) = &mut self.state.lock().place
            && place.epoch == *epoch
            && prev <= place.sent
        {
            place.sent = place.sent.max(seq);
        }
    }

    /// The client has everything up to `seq`. Gives where the cursor stands now, and how it got
    /// there if it moved.
    pub(crate) fn acknowledge(
        &self,
        epoch: &Epoch,
        seq: Seq,
    ) -> Result<Acknowledged, RequestError> {
        let mut state = self.state.lock();
        let Some(place) = &mut state.place else {
            return Err(beyond(seq, Seq::ZERO));
        };
        if place.epoch != *epoch {
            return Err(ErrorCode::WrongEpoch.into());
        }
        if seq > place.sent {
            return Err(beyond(seq, place.sent));
        }
        let moved = self.advance(place, seq);
        Ok(Acknowledged {
            stream: place.stream,
            cursor: place.cursor,
            moved,
        })
    }

    fn advance(&self, place: &mut Known, to: Seq) -> Option<CursorMove> {
        let from = place.cursor;
        if to <= from {
            return None;
        }
        place.cursor = to;
        Some(CursorMove {
            stream: place.stream,
            device: self.device.clone(),
            from,
            to,
        })
    }
}

fn beyond(seq: Seq, sent: Seq) -> RequestError {
    let detail = format!("{seq}, sent was {sent}");
    RequestError::new(ErrorCode::AckBeyondSent).with_detail(detail)
}
