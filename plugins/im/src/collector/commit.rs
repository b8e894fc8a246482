//! Committing a batch, and what follows from it.

use std::collections::HashMap;
use std::iter;
use std::ops::Range;

use partyline_plugin::sqlx::{self, error::DatabaseError};
use partyline_protocol::{ErrorCode, Member, Seq};

use super::{Collector, Queued};
use crate::delivery::fresh_epoch;
use crate::item::ReadyItem;
use crate::store::{Batch, NewMessage, Placed, StoredItem};

impl Collector {
    /// Stores these messages, answers their senders and announces what was stored.
    pub(super) async fn store_all(&mut self, messages: Vec<NewMessage>, senders: Vec<Queued>) {
        let mut senders: Vec<Option<Queued>> = senders.into_iter().map(Some).collect();
        let mut cursors = self.deliveries.cursors.take();
        // The parts that are still to be stored, the next one last.
        let mut parts: Vec<_> = iter::once(0..messages.len()).collect();
        while let Some(part) = parts.pop() {
            let (Some(some), Some(waiting)) =
                (messages.get(part.clone()), senders.get_mut(part.clone()))
            else {
                continue;
            };
            let waiting: Vec<Queued> = waiting.iter_mut().filter_map(Option::take).collect();
            let batch = Batch {
                messages: some,
                cursors: &cursors,
                fresh: &fresh_epoch(),
            };
            let result = self.store.commit(&batch).await;
            if !cursors.is_empty() {
                // With the first part only: then they are on disk, or wait for another batch.
                match result {
                    Ok(_) => self.deliveries.cursors.landed(),
                    Err(_) => self.deliveries.cursors.failed(),
                }
                cursors.clear();
            }
            match result {
                Ok(placed) => {
                    for ((message, placed), one) in some.iter().zip(&placed).zip(waiting) {
                        one.answer_stored(message, placed);
                    }
                    self.announce(some, &placed);
                }
                Err(error) if some.len() > 1 && concerns_one(&error) => {
                    // One of them is at fault: by halves, in their order, until it is alone.
                    let back = senders.get_mut(part.clone()).into_iter().flatten();
                    back.zip(waiting)
                        .for_each(|(place, one)| *place = Some(one));
                    let (first, second) = halves(part);
                    parts.push(second);
                    parts.push(first);
                }
                Err(error) => self.refuse(&error, waiting).await,
            }
        }
    }

    /// Moves the cursors that wait, without a message.
    pub(super) async fn flush(&mut self) {
        loop {
            let cursors = self.deliveries.cursors.take();
            if cursors.is_empty() {
                return;
            }
            let batch = Batch {
                messages: &[],
                cursors: &cursors,
                fresh: &fresh_epoch(),
            };
            match self.store.commit(&batch).await {
                Ok(_) => self.deliveries.cursors.landed(),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cursors not stored, trying again"
                    );
                    self.deliveries.cursors.failed();
                    return;
                }
            }
        }
    }

    /// The database did not take these.
    async fn refuse(&self, error: &sqlx::Error, waiting: Vec<Queued>) {
        // Another node may have stored the same send first, or this one did and did not hear of
        // it: then there is an answer.
        if error
            .as_database_error()
            .is_some_and(DatabaseError::is_unique_violation)
        {
            let keys: Vec<_> = waiting.iter().map(Queued::key).collect();
            let known = self.store.known(&keys).await.unwrap_or_default();
            for one in waiting {
                match known.iter().find(|known| {
                    (&known.sender, &known.client_msg_id)
                        == (&one.sender, &one.message.client_msg_id)
                }) {
                    Some(known) => one.answer_again(known),
                    None => one.answer(Err(ErrorCode::SendSystemError.into())),
                }
            }
            return;
        }
        tracing::error!(
            error = error as &dyn std::error::Error,
            "messages not stored"
        );
        for one in waiting {
            one.answer(Err(ErrorCode::SendSystemError.into()));
        }
    }

    /// Tells the lines of the receivers what was committed.
    fn announce(&self, messages: &[NewMessage], placed: &[Placed]) {
        let mut news = HashMap::<&Member, Vec<(Seq, &NewMessage, Seq)>>::new();
        for (message, placed) in messages.iter().zip(placed) {
            for (receiver, seq) in message.receivers.iter().zip(&placed.items) {
                news.entry(receiver)
                    .or_default()
                    .push((*seq, message, placed.seq));
            }
        }
        for (receiver, items) in news {
            let Some((head, ..)) = items.last() else {
                continue;
            };
            self.deliveries.announce(receiver, *head, || {
                let ready = items.iter().map(|(seq, message, msg_seq)| {
                    ReadyItem::new(receiver, StoredItem::of(message, *msg_seq, *seq))
                });
                ready.collect()
            });
        }
    }
}

/// Whether an error can be the fault of one message: the database refused a row, not us.
fn concerns_one(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some() || matches!(error, sqlx::Error::Encode(_))
}

fn halves(part: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = part.start + part.len() / 2;
    (part.start..middle, middle..part.end)
}
