//! Group commit: all sends that wait become one transaction.
//!
//! One task takes whatever has come while the transaction before was being written. So a busy
//! store makes larger batches by itself, nobody waits for company, and sends of one session are
//! stored in their order.

mod answer;
mod commit;
mod round;

use std::sync::Arc;

use partyline_plugin::{CancellationToken, Clock};
use partyline_protocol::{ClientMessageId, Member, RequestError, SendMessage, Sent};
use tokio::sync::{mpsc, oneshot};

use crate::delivery::Deliveries;
use crate::directory::Directory;
use crate::message_id::MessageIds;
use crate::rates::Rates;
use crate::store::Store;

/// A send that was decoded and checked.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) sender: Member,
    pub(crate) target: Member,
    pub(crate) message: SendMessage,
    pub(crate) content_hash: [u8; 32],
    pub(crate) reply: oneshot::Sender<Result<Sent, RequestError>>,
}

impl Queued {
    /// What makes it one send, however often it comes.
    fn key(&self) -> (Member, ClientMessageId) {
        (self.sender.clone(), self.message.client_msg_id.clone())
    }

    fn answer(self, answer: Result<Sent, RequestError>) {
        // The connection may be gone; the message stays.
        let _ = self.reply.send(answer);
    }
}

/// The one task that writes messages.
pub(crate) struct Collector {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Clock,
    pub(crate) ids: MessageIds,
    pub(crate) rates: Rates,
    /// Most messages of one transaction.
    pub(crate) batch: usize,
}

impl Collector {
    /// Works until the queue is closed or the plugin stops; what is in the queue by then is
    /// stored, and what is not gets an error.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Queued>, stop: CancellationToken) {
        let mut waiting = Vec::with_capacity(self.batch);
        loop {
            let deliveries = Arc::clone(&self.deliveries);
            tokio::select! {
                biased;
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
                taken = queue.recv_many(&mut waiting, self.batch) => {
                    if taken == 0 {
                        break;
                    }
                    self.process(std::mem::take(&mut waiting)).await;
                }
                () = deliveries.cursors.due() => self.flush().await,
            }
        }
        self.flush().await;
    }

    /// Answers every one of these sends.
    async fn process(&mut self, mut waiting: Vec<Queued>) {
        while !waiting.is_empty() {
            // Repetitions of a send in the same batch: known to the store in the next round.
            waiting = self.round(waiting).await;
        }
    }
}
