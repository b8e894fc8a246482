//! Committing a batch, and what follows from it.

use std::collections::HashMap;
use std::iter;
use std::ops::Range;

use partyline_plugin::sqlx::{self, error::DatabaseError};
use partyline_protocol::{ErrorCode, Member, Seq};

use super::fault::{is_number_taken, is_of_one_row};
use super::{Caller, Collector};
use crate::delivery::fresh_epoch;
use crate::item::ReadyItem;
use crate::store::{Batch, NewMessage, Placed, StoredItem};

/// How often the messages of a batch get other numbers before that counts as a failure.
const MAX_RENUMBERINGS: u32 = 5;

impl Collector {
    /// Stores these messages, answers their callers and announces what was stored.
    pub(super) async fn store_all(&mut self, mut messages: Vec<NewMessage>, callers: Vec<Caller>) {
        let mut callers: Vec<Option<Caller>> = callers.into_iter().map(Some).collect();
        let mut cursors = self.deliveries.cursors.take();
        let mut renumberings = 0;
        // The parts that are still to be stored, the next one last.
        let mut parts: Vec<_> = iter::once(0..messages.len()).collect();
        while let Some(part) = parts.pop() {
            let Some(some) = messages.get(part.clone()) else {
                continue;
            };
            let batch = Batch {
                messages: some,
                cursors: &cursors,
                fresh: &fresh_epoch(),
            };
            match self.store.commit(&batch).await {
                Ok(placed) => {
                    // With one part only: then they are on disk.
                    if !cursors.is_empty() {
                        self.deliveries.cursors.landed();
                        cursors.clear();
                    }
                    let waiting = taken(&mut callers, part.clone());
                    for ((message, placed), caller) in some.iter().zip(&placed).zip(waiting) {
                        caller.answer_stored(message, placed);
                    }
                    self.announce(some, &placed);
                }
                Err(error) if renumberings < MAX_RENUMBERINGS && is_number_taken(&error) => {
                    renumberings += 1;
                    // All that follow, so that their order stays.
                    let rest = messages.get_mut(part.start..).unwrap_or_default();
                    self.renumber(rest).await;
                    parts.push(part);
                }
                Err(error) if is_of_one_row(&error) => {
                    if some.len() > 1 {
                        // By halves, in their order, until the one at fault is alone.
                        let (first, second) = halves(part);
                        parts.push(second);
                        parts.push(first);
                    } else {
                        let alone = taken(&mut callers, part).collect();
                        self.refuse(&error, alone).await;
                    }
                }
                Err(error) => {
                    if !cursors.is_empty() {
                        self.deliveries.cursors.failed();
                        cursors.clear();
                    }
                    // Nobody knows whether it was committed before the answer was lost.
                    for receiver in some.iter().flat_map(|message| &message.receivers) {
                        self.deliveries.refresh_line(receiver);
                    }
                    // It would meet the others as well.
                    parts.clear();
                    let rest = taken(&mut callers, part.start..messages.len()).collect();
                    self.refuse(&error, rest).await;
                }
            }
        }
        if !cursors.is_empty() {
            self.deliveries.cursors.put_back();
        }
    }

    /// Moves cursors that wait, without a message: as many as one transaction takes. True if it
    /// moved some and there may be more.
    pub(super) async fn flush(&mut self) -> bool {
        let cursors = self.deliveries.cursors.take();
        if cursors.is_empty() {
            return false;
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
                return false;
            }
        }
        true
    }

    /// Gives messages other numbers: another process took theirs.
    async fn renumber(&mut self, messages: &mut [NewMessage]) {
        if let Ok(highest) = self.store.highest_message().await {
            self.ids.jump(highest);
        }
        for message in messages {
            message.id = self.ids.next(message.at_ms);
        }
    }

    /// The database did not take these.
    async fn refuse(&mut self, error: &sqlx::Error, waiting: Vec<Caller>) {
        for caller in &waiting {
            // What was not stored, or was stored before, does not count.
            self.rates.give_back(&caller.sender);
        }
        // Another node may have stored the same send first, or this one did and did not hear of
        // it: then there is an answer.
        if error
            .as_database_error()
            .is_some_and(DatabaseError::is_unique_violation)
        {
            let keys: Vec<_> = waiting.iter().map(Caller::key).collect();
            let known = self.store.known(&keys).await.unwrap_or_default();
            for caller in waiting {
                match known.iter().find(|known| {
                    (&known.sender, &known.client_msg_id) == (&caller.sender, &caller.client_msg_id)
                }) {
                    Some(known) => self.answer_known(caller, known),
                    None => caller.refuse(ErrorCode::SendSystemError),
                }
            }
            return;
        }
        tracing::error!(
            error = error as &dyn std::error::Error,
            "messages not stored"
        );
        for caller in waiting {
            caller.refuse(ErrorCode::SendSystemError);
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

fn taken(callers: &mut [Option<Caller>], part: Range<usize>) -> impl Iterator<Item = Caller> {
    let part = callers.get_mut(part).unwrap_or_default();
    part.iter_mut().filter_map(Option::take)
}

fn halves(part: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = part.start + part.len() / 2;
    (part.start..middle, middle..part.end)
}
