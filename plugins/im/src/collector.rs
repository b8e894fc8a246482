//! Group commit: all sends that wait become one transaction.
//!
//! One task takes whatever has come while the transaction before was being written. So a busy
//! store makes larger batches by itself, nobody waits for company, and sends of one session are
//! stored in their order.

mod answer;
mod commit;
mod fault;
mod round;

use std::sync::Arc;

use partyline_plugin::{CancellationToken, Clock};
use partyline_protocol::{Member, RequestError, SendMessage};
use tokio::sync::mpsc;

pub(crate) use answer::Caller;

use crate::delivery::Deliveries;
use crate::directory::Directory;
use crate::message_id::MessageIds;
use crate::rates::Rates;
use crate::store::Store;

/// A send that was decoded.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) caller: Caller,
    /// What is to be stored, or why it may not be. Both mean something only if the send was not
    /// stored before.
    pub(crate) request: Result<Wanted, RequestError>,
}

/// A send that passed the checks.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) target: Member,
    pub(crate) message: SendMessage,
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
                    let wrote = self.process(std::mem::take(&mut waiting)).await;
                    // Cursors go with the messages. Where none are stored for long, they go alone.
                    if !wrote && deliveries.cursors.are_due() {
                        self.flush().await;
                    }
                }
                () = deliveries.cursors.due() => {
                    self.flush().await;
                }
            }
        }
        while self.flush().await {}
    }
}
