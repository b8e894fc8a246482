//! Changes that go into one transaction, coalesced by key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use partyline_plugin::protocol::{AppKey, TopicFilter};

use super::record::{QueueRecord, SessionNo, SessionRecord, Stored};
use crate::packet::SubscribeOptions;

/// Changes that have no order among them: each key is in it once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Apps whose retained messages of earlier transactions go.
    pub(super) apps: BTreeSet<AppKey>,
    pub(super) sessions: BTreeMap<SessionNo, SessionChanges>,
    /// Bodies of queued messages; `None` = goes.
    pub(super) messages: BTreeMap<i64, Option<Stored>>,
    pub(super) retained: BTreeMap<i64, Option<(AppKey, Stored)>>,
    /// Bytes of the messages in it.
    bytes: usize,
    /// Rows of queues in it.
    rows: usize,
}

/// What changes in one session.
#[derive(Debug, Default)]
pub(super) struct SessionChanges {
    /// It goes with all that is in it; nothing else is set.
    pub(super) ended: bool,
    /// It was made here, so there is nothing of it in the tables.
    fresh: bool,
    pub(super) session: Option<Box<SessionRecord>>,
    /// `None` = goes.
    pub(super) subscriptions: HashMap<TopicFilter, Option<SubscribeOptions>>,
    pub(super) queue: BTreeMap<u64, QueueChange>,
    /// Packet ids; false = goes.
    pub(super) received: BTreeMap<u16, bool>,
}

#[derive(Debug)]
pub(super) enum QueueChange {
    Put {
        record: QueueRecord,
        /// It is not in the tables yet.
        fresh: bool,
    },
    Remove,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.apps.is_empty()
            && self.sessions.is_empty()
            && self.messages.is_empty()
            && self.retained.is_empty()
    }

    /// Rows that messages and retained messages make in it, and their bytes.
    pub(super) fn load(&self) -> (usize, usize) {
        let rows = self.rows + self.messages.len() + self.retained.len();
        (rows, self.bytes)
    }

    /// What changes in a session; `None` if it goes anyway.
    fn session(&mut self, no: SessionNo) -> Option<&mut SessionChanges> {
        let changes = self.sessions.entry(no).or_default();
        (!changes.ended).then_some(changes)
    }

    pub(super) fn put_session(&mut self, no: SessionNo, record: SessionRecord, fresh: bool) {
        if let Some(changes) = self.session(no) {
            changes.fresh |= fresh;
            changes.session = Some(Box::new(record));
        }
    }

    pub(super) fn end_session(&mut self, no: SessionNo) {
        let gone = self.sessions.insert(
            no,
            SessionChanges {
                ended: true,
                ..SessionChanges::default()
            },
        );
        let Some(gone) = gone else {
            return;
        };
        self.rows -= gone.queue.len();
        if gone.fresh {
            self.sessions.remove(&no);
        }
    }

    pub(super) fn put_subscription(
        &mut self,
        no: SessionNo,
        filter: TopicFilter,
        options: Option<SubscribeOptions>,
    ) {
        if let Some(changes) = self.session(no) {
            changes.subscriptions.insert(filter, options);
        }
    }

    /// Puts a row, which is new or replaces the one at its place.
    pub(super) fn put_queue(
        &mut self,
        no: SessionNo,
        position: u64,
        record: QueueRecord,
        fresh: bool,
    ) {
        let Some(changes) = self.session(no) else {
            return;
        };
        let old = changes.queue.get(&position);
        let fresh = fresh || matches!(old, Some(QueueChange::Put { fresh: true, .. }));
        let put = QueueChange::Put { record, fresh };
        let new = changes.queue.insert(position, put).is_none();
        self.rows += usize::from(new);
    }

    pub(super) fn remove_queue(&mut self, no: SessionNo, position: u64) {
        let Some(changes) = self.session(no) else {
            return;
        };
        match changes.queue.insert(position, QueueChange::Remove) {
            Some(QueueChange::Put { fresh: true, .. }) => {
                changes.queue.remove(&position);
                self.rows -= 1;
            }
            Some(_) => {}
            None => self.rows += 1,
        }
        self.drop_if_idle(no);
    }

    pub(super) fn put_received(&mut self, no: SessionNo, id: u16, there: bool) {
        if let Some(changes) = self.session(no) {
            changes.received.insert(id, there);
        }
    }

    pub(super) fn put_message(&mut self, no: i64, message: Stored) {
        self.bytes += message.frame.len();
        self.messages.insert(no, Some(message));
    }

    pub(super) fn remove_message(&mut self, no: i64) {
        // Bodies are never replaced, so one that is here is not in the tables.
        if let Some(Some(message)) = self.messages.remove(&no) {
            self.bytes -= message.frame.len();
        } else {
            self.messages.insert(no, None);
        }
    }

    pub(super) fn put_retained(&mut self, no: i64, message: Option<(AppKey, Stored)>) {
        let weight =
            |one: &Option<(AppKey, Stored)>| one.as_ref().map_or(0, |(_, m)| m.frame.len());
        self.bytes += weight(&message);
        let old = self.retained.insert(no, message);
        self.bytes -= old.as_ref().map_or(0, weight);
    }

    pub(super) fn drop_app(&mut self, app: &AppKey) {
        let of_app = |one: &Option<(AppKey, Stored)>| one.as_ref().is_some_and(|(of, _)| of == app);
        for (_, message) in self.retained.extract_if(.., |_, one| of_app(one)) {
            self.bytes -= message.map_or(0, |(_, message)| message.frame.len());
        }
        self.apps.insert(app.clone());
    }

    /// A session in which nothing changes after all is no reason for a transaction.
    fn drop_if_idle(&mut self, no: SessionNo) {
        if self.sessions.get(&no).is_some_and(SessionChanges::is_idle) {
            self.sessions.remove(&no);
        }
    }
}

impl SessionChanges {
    fn is_idle(&self) -> bool {
        !self.ended
            && self.session.is_none()
            && self.subscriptions.is_empty()
            && self.queue.is_empty()
            && self.received.is_empty()
    }
}
