//! The task that empties an inbox.

use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::{Outgoing, Payload, Qos, TrackedOutcome};
use partyline_protocol::Seq;

use super::inbox::{Sending, Turn};
use super::pack::{self, Chunk, PACKET_OVERHEAD};
use super::{Deliveries, Inbox, fresh_epoch};
use crate::item::Viewing;
use crate::store::{self, Start};

/// How long a task waits before it asks a failing database again, or offers a batch again to a
/// connection that had no room for it.
const RETRY: Duration = Duration::from_secs(1);

impl Deliveries {
    /// Sends what is in an inbox, batch after batch, until nothing is left or it is closed.
    pub(super) async fn drain(self: Arc<Self>, inbox: Arc<Inbox>) {
        // What was read and did not fit into the last batch.
        let mut rest = None;
        loop {
            let step = match inbox.turn() {
                Turn::Leave => {
                    if inbox.is_over() {
                        self.leave(&inbox);
                    }
                    self.calm(&inbox.owner);
                    return;
                }
                Turn::Load(start) => {
                    rest = None;
                    self.load(&inbox, start).await
                }
                Turn::Refresh => self.refresh(&inbox).await,
                Turn::Send(sending) => self.send_next(&inbox, &sending, &mut rest).await,
            };
            match step {
                Ok(true) => {}
                Ok(false) => {
                    if inbox.rest() {
                        self.calm(&inbox.owner);
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "inbox not read, trying again"
                    );
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Looks where the device is.
    async fn load(&self, inbox: &Inbox, start: Start) -> store::Result<bool> {
        let fresh = fresh_epoch();
        let opened = self
            .store
            .open(&inbox.owner, &inbox.device, start, &fresh)
            .await;
        let mut opened = opened.inspect_err(|_| inbox.not_loaded(start))?;
        let stream = opened.place.stream;
        if start == Start::OldestAgain {
            // Back to the start: what waits would lead on from a place that is not the device's.
            self.cursors.forget(stream, &inbox.device);
        } else {
            opened.cursor = self.cursors.ahead_of(stream, &inbox.device, opened.cursor);
        }
        inbox.loaded(opened, start);
        Ok(true)
    }

    /// Looks how far the stream goes: something may have been committed without a word.
    async fn refresh(&self, inbox: &Inbox) -> store::Result<bool> {
        let place = self.store.place(&inbox.owner).await;
        if let Some(place) = place.inspect_err(|_| inbox.not_refreshed())? {
            inbox.refreshed(&place);
        }
        Ok(true)
    }

    /// Sends the next batch and waits for its end. False if there is nothing to send.
    async fn send_next(
        &self,
        inbox: &Inbox,
        sending: &Sending,
        rest: &mut Option<(Seq, Chunk)>,
    ) -> store::Result<bool> {
        let viewing = Viewing {
            now_ms: self.now_ms(),
            live_after: Some(sending.live_after),
        };
        let at_hand = rest
            .take()
            .filter(|(from, chunk)| *from == sending.prev && chunk.upto > sending.prev);
        let mut chunk = match at_hand {
            Some((_, chunk)) => chunk,
            None => match self.chunk_after(&inbox.owner, sending, viewing).await? {
                Some(chunk) => chunk,
                None => return Ok(false),
            },
        };
        let frame = pack::batch_frame(sending.epoch.as_str()) + PACKET_OVERHEAD;
        let budget = sending.limit.saturating_sub(frame);
        let packed = chunk
            .pack(sending.prev, budget, usize::MAX, viewing)
            .map_err(encode)?;
        let payload = pack::batch_payload(&sending.epoch, sending.prev, &packed).map_err(encode)?;
        *rest = Some((packed.seq, chunk));

        let message = Outgoing {
            topic: self.topic.clone(),
            payload: Payload::from(payload),
            qos: Qos::AtLeastOnce,
        };
        inbox.sending(packed.seq);
        let outcome = self.broker.deliver_tracked(inbox.handle, message).await;
        match outcome {
            TrackedOutcome::Full => {
                inbox.unsent(sending, packed.seq);
                tokio::time::sleep(RETRY).await;
                return Ok(true);
            }
            TrackedOutcome::Refused(_) | TrackedOutcome::TooLarge => tracing::debug!(
                session.id = inbox.handle.id.get(),
                ?outcome,
                "inbox batch not taken"
            ),
            TrackedOutcome::Acked | TrackedOutcome::Gone => {}
        }
        if let Some(moved) = inbox.settled(outcome, sending, packed.seq) {
            self.cursors.push(moved);
        }
        Ok(true)
    }
}

pub(super) fn encode(error: serde_json::Error) -> partyline_plugin::sqlx::Error {
    partyline_plugin::sqlx::Error::Encode(Box::new(error))
}
