//! What has changed and is not on disk yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use partyline_plugin::Clock;
use partyline_plugin::protocol::{AppKey, TopicFilter};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::batch::Batch;
use super::record::{QueueRecord, SessionNo, SessionRecord, Stored};
use crate::packet::SubscribeOptions;
use crate::session::{Attachment, Publication};

/// Rows of messages that may wait to be written, and their bytes. Beyond it, what would add to them
/// is refused: the database does not keep up, or is gone.
const MAX_ROWS: usize = 200_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The transaction that a change goes in. What waits for it waits for all before it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// Of nothing: it is on disk.
    pub(crate) const NOW: Self = Self(0);
    /// Of a change that was not taken.
    const NEVER: Self = Self(u64::MAX);
}

/// Takes changes; cheap, and callable under any lock of the kernel.
#[derive(Debug)]
pub(crate) struct Journal {
    clock: Clock,
    /// Read by who makes changes that belong together, written by who takes a batch.
    together: RwLock<()>,
    pending: Mutex<Pending>,
    /// More than may wait does.
    full: AtomicBool,
    /// Wakes the writer.
    changed: Notify,
    committed: watch::Sender<u64>,
    next_session: AtomicI64,
    next_message: AtomicI64,
    next_retained: AtomicI64,
}

#[derive(Debug)]
struct Pending {
    /// Counts batches from 1.
    number: u64,
    batch: Batch,
    /// Somebody waits for this batch.
    urgent: bool,
    /// Connections to wake, by the number of the batch that they wait for.
    waiting: BTreeMap<u64, Vec<Arc<Attachment>>>,
    /// Nothing more is taken.
    closed: bool,
}

/// While it is held, no batch is taken: what is changed meanwhile goes in one transaction. Not to
/// be nested, and not held over an await.
#[derive(Debug)]
pub(crate) struct Together<'a>(#[expect(dead_code, reason = "held")] RwLockReadGuard<'a, ()>);

/// What the writer finds.
#[derive(Debug)]
pub(super) enum Work {
    Nothing,
    /// Nobody waits for it: there may soon be more, or less.
    Lazy,
    Urgent,
    /// The last batch.
    Last,
}

impl Journal {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            together: RwLock::new(()),
            pending: Mutex::new(Pending {
                number: 1,
                batch: Batch::default(),
                urgent: false,
                waiting: BTreeMap::new(),
                closed: false,
            }),
            full: AtomicBool::new(false),
            changed: Notify::new(),
            committed: watch::Sender::new(0),
            next_session: AtomicI64::new(1),
            next_message: AtomicI64::new(1),
            next_retained: AtomicI64::new(1),
        }
    }

    /// Begins to number behind what is in the tables.
    pub(super) fn number_after(&self, session: i64, message: i64, retained: i64) {
        for (next, last) in [
            (&self.next_session, session),
            (&self.next_message, message),
            (&self.next_retained, retained),
        ] {
            next.fetch_max(last.saturating_add(1), Ordering::Relaxed);
        }
    }

    pub(super) fn new_session(&self) -> SessionNo {
        SessionNo(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn new_message(&self) -> i64 {
        self.next_message.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn new_retained(&self) -> i64 {
        self.next_retained.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether messages may be added. What was there before may always change and go.
    pub(crate) fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }

    /// Keeps the changes that are made while it is held in one transaction.
    pub(crate) fn together(&self) -> Together<'_> {
        Together(self.together.read())
    }

    /// The ticket of all that was changed so far.
    pub(crate) fn latest(&self) -> Ticket {
        let pending = self.pending.lock();
        Ticket(pending.number - u64::from(pending.batch.is_empty()))
    }

    pub(crate) fn is_committed(&self, ticket: Ticket) -> bool {
        *self.committed.borrow() >= ticket.0
    }

    /// Returns when the ticket's changes are on disk.
    pub(crate) async fn committed(&self, ticket: Ticket) {
        self.hurry(ticket);
        let mut committed = self.committed.subscribe();
        // The sender is this journal's own.
        let _ = committed.wait_for(|number| *number >= ticket.0).await;
    }

    /// Wakes the connection when the ticket's changes are on disk.
    pub(crate) fn wake_at(&self, ticket: Ticket, attachment: &Arc<Attachment>) {
        {
            let mut pending = self.pending.lock();
            if !self.is_committed(ticket) {
                let waiting = pending.waiting.entry(ticket.0).or_default();
                if !waiting
                    .last()
                    .is_some_and(|last| Arc::ptr_eq(last, attachment))
                {
                    waiting.push(Arc::clone(attachment));
                }
                self.hurry_in(&mut pending, ticket);
                return;
            }
        }
        attachment.signal.wake();
    }

    fn hurry(&self, ticket: Ticket) {
        self.hurry_in(&mut self.pending.lock(), ticket);
    }

    fn hurry_in(&self, pending: &mut Pending, ticket: Ticket) {
        if pending.number == ticket.0 && !pending.urgent {
            pending.urgent = true;
            self.changed.notify_one();
        }
    }

    fn submit(&self, change: impl FnOnce(&mut Batch)) -> Ticket {
        let mut pending = self.pending.lock();
        if pending.closed {
            return Ticket::NEVER;
        }
        let was_empty = pending.batch.is_empty();
        change(&mut pending.batch);
        self.weigh(&pending.batch);
        if was_empty {
            self.changed.notify_one();
        }
        Ticket(pending.number)
    }

    fn weigh(&self, batch: &Batch) {
        let (rows, bytes) = batch.load();
        let full = rows > MAX_ROWS || bytes > MAX_BYTES;
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn put_session(&self, no: SessionNo, record: SessionRecord, fresh: bool) -> Ticket {
        self.submit(|batch| batch.put_session(no, record, fresh))
    }

    pub(super) fn end_session(&self, no: SessionNo) -> Ticket {
        self.submit(|batch| batch.end_session(no))
    }

    pub(super) fn put_subscription(
        &self,
        no: SessionNo,
        filter: &TopicFilter,
        options: Option<SubscribeOptions>,
    ) -> Ticket {
        self.submit(|batch| batch.put_subscription(no, filter.clone(), options))
    }

    pub(super) fn put_queue(
        &self,
        no: SessionNo,
        position: u64,
        record: QueueRecord,
        fresh: bool,
    ) -> Ticket {
        self.submit(|batch| batch.put_queue(no, position, record, fresh))
    }

    pub(super) fn remove_queue(&self, no: SessionNo, position: u64) -> Ticket {
        self.submit(|batch| batch.remove_queue(no, position))
    }

    pub(super) fn put_received(&self, no: SessionNo, id: u16, there: bool) -> Ticket {
        self.submit(|batch| batch.put_received(no, id, there))
    }

    pub(super) fn put_message(&self, no: i64, message: Stored) -> Ticket {
        self.submit(|batch| batch.put_message(no, message))
    }

    pub(super) fn remove_message(&self, no: i64) -> Ticket {
        self.submit(|batch| batch.remove_message(no))
    }

    pub(super) fn put_retained(&self, no: i64, message: Option<(AppKey, Stored)>) -> Ticket {
        self.submit(|batch| batch.put_retained(no, message))
    }

    /// An app's retained messages go, all that were kept before.
    pub(crate) fn drop_app(&self, app: &AppKey) -> Ticket {
        self.submit(|batch| batch.drop_app(app))
    }

    /// The message as it is kept; `None` if it cannot be a packet at all.
    pub(super) fn stored(&self, publication: &Publication) -> Option<Stored> {
        let (message, now) = (&publication.message, Instant::now());
        Some(Stored {
            frame: publication.frame(true, message.qos, now)?.into_owned(),
            qos: message.qos,
            retain: message.retain,
            expires_ms: publication.expires().map(|at| {
                let rest = at.saturating_duration_since(now).as_millis();
                let rest = i64::try_from(rest).unwrap_or(i64::MAX);
                self.now_ms().saturating_add(rest)
            }),
        })
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Takes no more changes; the writer ends when it has written what is there.
    pub(super) fn close(&self) {
        self.pending.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn work(&self) -> Work {
        let pending = self.pending.lock();
        match (pending.closed, pending.batch.is_empty(), pending.urgent) {
            (true, ..) => Work::Last,
            (_, _, true) => Work::Urgent,
            (_, false, _) => Work::Lazy,
            (_, true, _) => Work::Nothing,
        }
    }

    /// Waits until there may be other work.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes all that has changed, with its number.
    pub(super) fn take(&self) -> (u64, Batch) {
        let _alone = self.together.write();
        let mut pending = self.pending.lock();
        let number = pending.number;
        pending.number += 1;
        pending.urgent = false;
        let batch = std::mem::take(&mut pending.batch);
        self.weigh(&pending.batch);
        (number, batch)
    }

    /// The batch with this number is on disk, and all before it.
    pub(super) fn written(&self, number: u64) {
        let woken = {
            let mut pending = self.pending.lock();
            self.committed.send_replace(number);
            let later = pending.waiting.split_off(&(number + 1));
            std::mem::replace(&mut pending.waiting, later)
        };
        for attachment in woken.into_values().flatten() {
            attachment.signal.wake();
        }
    }

    /// Whether changes may be made together now.
    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        self.together.try_read().is_some()
    }
}
