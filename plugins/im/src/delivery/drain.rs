//! The task that empties an inbox.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::{Outgoing, Payload, Qos, TrackedOutcome};
use partyline_protocol::Seq;
use tokio::sync::oneshot;

use super::inbox::{Sending, Turn};
use super::pack::{self, Chunk, PACKET_OVERHEAD};
use super::{Deliveries, Inbox, fresh_epoch};
use crate::item::Viewing;
use crate::store::{self, Start};

/// Held until it is known where a device begins.
pub(super) type Begun = oneshot::Sender<Infallible>;

/// How long a task waits before it asks a failing database again.
const RETRY: Duration = Duration::from_secs(1);

impl Deliveries {
    /// Sends what is in an inbox, batch after batch, until nothing is left or it is closed.
    /// `begun` goes once the store was asked where the device is, and before anything is sent.
    pub(super) async fn drain(self: Arc<Self>, inbox: Arc<Inbox>, mut begun: Option<Begun>) {
        // What was read and did not fit into the last batch.
        let mut rest = None;
        loop {
            let step = match inbox.turn() {
                Turn::Leave => {
                    if inbox.is_over() {
                        self.leave(&inbox);
                    }
                    return;
                }
                Turn::Load(start) => {
                    rest = None;
                    let loaded = self.load(&inbox, start).await;
                    drop(begun.take());
                    loaded.map(|()| true)
                }
                Turn::Send(sending) => {
                    drop(begun.take());
                    self.send_next(&inbox, &sending, &mut rest).await
                }
            };
            match step {
                Ok(true) => {}
                Ok(false) => {
                    if inbox.rest() {
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

    async fn load(&self, inbox: &Inbox, start: Start) -> store::Result<()> {
        let fresh = fresh_epoch();
        let mut opened = self
            .store
            .open(&inbox.owner, &inbox.device, start, &fresh)
            .await?;
        let stream = opened.place.stream;
        opened.cursor = self.cursors.ahead_of(stream, &inbox.device, opened.cursor);
        inbox.loaded(opened, start);
        Ok(())
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
        if let TrackedOutcome::Refused(_) | TrackedOutcome::TooLarge = outcome {
            tracing::debug!(
                session.id = inbox.handle.id.get(),
                ?outcome,
                "inbox batch not taken"
            );
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
