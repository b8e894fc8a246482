//! Rows that live as long as what they stand for: a queued message that is dropped, for whatever
//! reason, takes its row with it, and a body goes with the last row that names it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use partyline_plugin::Qos;
use partyline_plugin::protocol::{AppKey, TopicFilter};

use super::record::{QueueRecord, SessionNo, SessionRecord, Stage};
use super::{Journal, Ticket};
use crate::packet::SubscribeOptions;
use crate::session::{Matched, Publication};

/// A session's place in the store.
#[derive(Debug)]
struct Place {
    journal: Arc<Journal>,
    no: SessionNo,
    /// It is gone with all its rows.
    ended: AtomicBool,
}

/// What a session keeps in the store.
#[derive(Debug)]
pub(crate) struct SessionRows {
    place: Arc<Place>,
    /// Positions are given in the order of sending.
    next_position: u64,
}

impl SessionRows {
    /// A session that was not there before.
    pub(crate) fn new(journal: &Arc<Journal>) -> Self {
        Self::at(journal, journal.new_session())
    }

    /// A session that is in the tables.
    pub(super) fn at(journal: &Arc<Journal>, no: SessionNo) -> Self {
        Self {
            place: Arc::new(Place {
                journal: Arc::clone(journal),
                no,
                ended: AtomicBool::new(false),
            }),
            next_position: 1,
        }
    }

    fn journal(&self) -> &Journal {
        &self.place.journal
    }

    /// Whether a ticket's changes are on disk.
    pub(crate) fn is_committed(&self, ticket: Ticket) -> bool {
        self.journal().is_committed(ticket)
    }

    pub(crate) fn save(&self, record: SessionRecord, fresh: bool) -> Ticket {
        self.journal().put_session(self.place.no, record, fresh)
    }

    /// It goes with all its rows.
    pub(crate) fn end(&self) -> Ticket {
        self.place.ended.store(true, Ordering::Relaxed);
        self.journal().end_session(self.place.no)
    }

    pub(crate) fn subscribe(&self, filter: &TopicFilter, options: SubscribeOptions) -> Ticket {
        self.journal()
            .put_subscription(self.place.no, filter, Some(options))
    }

    pub(crate) fn unsubscribe(&self, filter: &TopicFilter) -> Ticket {
        self.journal().put_subscription(self.place.no, filter, None)
    }

    /// A QoS 2 message came and is done.
    pub(crate) fn receive(&self, packet_id: u16) -> Ticket {
        self.journal().put_received(self.place.no, packet_id, true)
    }

    /// Its packet id is free.
    pub(crate) fn release(&self, packet_id: u16) -> Ticket {
        self.journal().put_received(self.place.no, packet_id, false)
    }

    /// A row for a message that is queued. `None` if it cannot be a packet at all.
    pub(crate) fn queue(
        &mut self,
        publication: &Publication,
        qos: Qos,
        retain: bool,
        matched: Option<Arc<Matched>>,
    ) -> Option<(Box<Row>, Ticket)> {
        let body = publication.body(&self.place.journal)?;
        let position = self.next_position;
        self.next_position += 1;
        let record = QueueRecord {
            message: Some(body.no),
            qos,
            retain,
            matched,
            packet_id: None,
            stage: Stage::Waits,
        };
        let row = Box::new(Row {
            place: Arc::clone(&self.place),
            position,
            record,
            body: Some(body),
        });
        let ticket = row.put(true);
        Some((row, ticket))
    }

    /// Positions up to this one are not given again.
    pub(super) fn give_after(&mut self, position: u64) {
        self.next_position = self.next_position.max(position.saturating_add(1));
    }

    /// A row that is in the tables.
    pub(super) fn read(&self, position: u64, record: QueueRecord, body: Option<Arc<Body>>) -> Row {
        Row {
            place: Arc::clone(&self.place),
            position,
            record,
            body,
        }
    }
}

/// The row of a message in a session's queue.
#[derive(Debug)]
pub(crate) struct Row {
    place: Arc<Place>,
    position: u64,
    record: QueueRecord,
    body: Option<Arc<Body>>,
}

impl Row {
    fn put(&self, fresh: bool) -> Ticket {
        let Place { journal, no, .. } = &*self.place;
        journal.put_queue(*no, self.position, self.record.clone(), fresh)
    }

    /// The message is sent with this packet id and awaits an acknowledgement.
    pub(crate) fn sent(&mut self, packet_id: u16, awaits: Stage) -> Ticket {
        self.record.packet_id = Some(packet_id);
        self.record.stage = awaits;
        self.put(false)
    }

    /// The client has the message: only its packet id is still needed.
    pub(crate) fn received(&mut self) -> Ticket {
        self.record.stage = Stage::Comp;
        self.record.message = None;
        let ticket = self.put(false);
        self.body = None;
        ticket
    }

    pub(crate) fn is_committed(&self, ticket: Ticket) -> bool {
        self.place.journal.is_committed(ticket)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let Place { journal, no, ended } = &*self.place;
        if !ended.load(Ordering::Relaxed) {
            journal.remove_queue(*no, self.position);
        }
    }
}

/// A message that rows of queues name.
#[derive(Debug)]
pub(crate) struct Body {
    journal: Arc<Journal>,
    no: i64,
}

impl Body {
    /// Keeps a message that was not there before.
    pub(crate) fn new(journal: &Arc<Journal>, publication: &Publication) -> Option<Arc<Self>> {
        let stored = journal.stored(publication)?;
        let no = journal.new_message();
        journal.put_message(no, stored);
        Some(Self::at(journal, no))
    }

    /// A message that is in the tables.
    pub(super) fn at(journal: &Arc<Journal>, no: i64) -> Arc<Self> {
        let journal = Arc::clone(journal);
        Arc::new(Self { journal, no })
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.journal.remove_message(self.no);
    }
}

/// No row has this number.
const NOWHERE: i64 = 0;

/// The row of a retained message. One that is dropped goes.
#[derive(Debug)]
pub(crate) struct RetainedPlace {
    journal: Arc<Journal>,
    no: i64,
}

impl RetainedPlace {
    /// A topic that had no retained message.
    pub(crate) fn new(journal: &Arc<Journal>) -> Self {
        Self::at(journal, journal.new_retained())
    }

    /// One that is in the tables.
    pub(super) fn at(journal: &Arc<Journal>, no: i64) -> Self {
        let journal = Arc::clone(journal);
        Self { journal, no }
    }

    /// It goes with all of its app.
    pub(crate) fn forget(mut self) {
        self.no = NOWHERE;
    }

    /// The topic's message is this one now.
    pub(crate) fn put(&self, app: &AppKey, publication: &Publication) -> Option<Ticket> {
        let stored = self.journal.stored(publication)?;
        Some(
            self.journal
                .put_retained(self.no, Some((app.clone(), stored))),
        )
    }
}

impl Drop for RetainedPlace {
    fn drop(&mut self) {
        if self.no != NOWHERE {
            self.journal.put_retained(self.no, None);
        }
    }
}
