//! A batch as statements' parameters: a fixed number of statements, whatever is in it.
//!
//! Rows go in as one JSON text and packets as one run of bytes of which each row names its part, so
//! that the statements' texts stay the same and are prepared once.

use bytes::{BufMut, BytesMut};
use partyline_plugin::Owner;
use partyline_plugin::protocol::{RegistrationId, TopicFilter};
use serde::Serialize;

use super::batch::{Batch, QueueChange};
use super::record::{SessionNo, SessionRecord, Stored};
use crate::session::Matched;

/// What one statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    DropApps,
    EndSessions,
    EndSubscriptions,
    EndQueues,
    EndReceived,
    PutSessions,
    RemoveSubscriptions,
    PutSubscriptions,
    RemoveQueue,
    RemoveMessages,
    PutMessages,
    PutQueue,
    RemoveReceived,
    PutReceived,
    RemoveRetained,
    PutRetained,
}

/// One statement's parameters.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) rows: String,
    /// The packets, where rows have some.
    pub(super) packets: Option<BytesMut>,
}

#[derive(Serialize)]
struct App<'a> {
    app: &'a str,
}

#[derive(Serialize)]
struct Id {
    id: i64,
}

#[derive(Serialize)]
struct Session<'a> {
    id: i64,
    app: &'a str,
    owner: i64,
    username: Option<&'a str>,
    client_id: &'a str,
    registration: Option<&'a str>,
    expiry_secs: i64,
    detached_ms: Option<i64>,
    start: Option<usize>,
    len: Option<usize>,
    will_delay_secs: i64,
}

#[expect(clippy::struct_field_names, reason = "the names of the columns")]
#[derive(Serialize)]
struct Subscription<'a> {
    session: i64,
    filter: &'a str,
    options: i64,
    subscription_id: Option<i64>,
}

#[derive(Serialize)]
struct Filter<'a> {
    session: i64,
    filter: &'a str,
}

#[derive(Serialize)]
struct Message {
    id: i64,
    expires_ms: Option<i64>,
    start: usize,
    len: usize,
}

#[derive(Serialize)]
struct Queue<'a> {
    session: i64,
    position: u64,
    message: Option<i64>,
    qos: u8,
    retain: u8,
    subscription_ids: Option<String>,
    share: Option<&'a str>,
    packet_id: Option<u16>,
    stage: i64,
}

#[derive(Serialize)]
struct Position {
    session: i64,
    position: u64,
}

#[derive(Serialize)]
struct Received {
    session: i64,
    packet_id: u16,
}

#[derive(Serialize)]
struct Retained<'a> {
    id: i64,
    app: &'a str,
    expires_ms: Option<i64>,
    start: usize,
    len: usize,
}

/// Rows and the packets that they name.
struct Rows<T> {
    rows: Vec<T>,
    packets: BytesMut,
}

impl<T: Serialize> Rows<T> {
    fn new() -> Self {
        Self {
            rows: Vec::new(),
            packets: BytesMut::new(),
        }
    }

    /// Appends bytes; the place, counted from 1, and the length of what was appended.
    fn append(&mut self, write: impl FnOnce(&mut BytesMut)) -> (usize, usize) {
        let before = self.packets.len();
        write(&mut self.packets);
        (before + 1, self.packets.len() - before)
    }

    fn step(self, kind: Kind, with_packets: bool) -> Result<Option<Step>, serde_json::Error> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let rows = serde_json::to_string(&self.rows)?;
        let packets = with_packets.then_some(self.packets);
        Ok(Some(Step {
            kind,
            rows,
            packets,
        }))
    }
}

/// The statements of a batch, in the order in which they are run.
pub(super) fn steps(batch: &Batch) -> Result<Vec<Step>, serde_json::Error> {
    let mut steps = Vec::new();
    let mut apps = Rows::new();
    let rows = batch.apps.iter();
    apps.rows.extend(rows.map(|app| App { app: app.as_str() }));
    steps.extend(apps.step(Kind::DropApps, false)?);
    for kind in [
        Kind::EndSessions,
        Kind::EndSubscriptions,
        Kind::EndQueues,
        Kind::EndReceived,
    ] {
        let mut ended = Rows::new();
        let sessions = batch.sessions.iter().filter(|(_, changes)| changes.ended);
        ended.rows.extend(sessions.map(|(no, _)| Id { id: no.0 }));
        steps.extend(ended.step(kind, false)?);
    }
    sessions(batch, &mut steps)?;
    messages(batch, &mut steps)?;
    let mut put_received = Rows::new();
    let mut remove_received = Rows::new();
    for (session, changes) in &batch.sessions {
        for (packet_id, there) in &changes.received {
            let rows = if *there {
                &mut put_received
            } else {
                &mut remove_received
            };
            rows.rows.push(Received {
                session: session.0,
                packet_id: *packet_id,
            });
        }
    }
    steps.extend(remove_received.step(Kind::RemoveReceived, false)?);
    steps.extend(put_received.step(Kind::PutReceived, false)?);
    retained(batch, &mut steps)?;
    Ok(steps)
}

fn sessions(batch: &Batch, steps: &mut Vec<Step>) -> Result<(), serde_json::Error> {
    let mut sessions = Rows::new();
    let mut removed = Rows::new();
    let mut subscriptions = Rows::new();
    for (no, changes) in &batch.sessions {
        if let Some(record) = &changes.session {
            session(*no, record, &mut sessions);
        }
        for (filter, options) in &changes.subscriptions {
            let (session, filter) = (no.0, filter.as_str());
            // What is put replaces what may be there.
            removed.rows.push(Filter { session, filter });
            if let Some(options) = options {
                subscriptions.rows.push(Subscription {
                    session,
                    filter,
                    options: options.to_byte().into(),
                    subscription_id: options.subscription_id.map(|id| id.get().into()),
                });
            }
        }
    }
    steps.extend(sessions.step(Kind::PutSessions, true)?);
    steps.extend(removed.step(Kind::RemoveSubscriptions, false)?);
    steps.extend(subscriptions.step(Kind::PutSubscriptions, false)?);
    Ok(())
}

fn session<'a>(no: SessionNo, record: &'a SessionRecord, sessions: &mut Rows<Session<'a>>) {
    let SessionRecord {
        key,
        registration,
        expiry_secs,
        detached_ms,
        will,
    } = record;
    let will_place = will
        .as_ref()
        .map(|will| sessions.append(|packets| packets.put_slice(&will.packet)));
    let (owner, username) = match &key.owner {
        Owner::Device => (0, None),
        Owner::User(username) => (1, Some(username.as_str())),
        Owner::Server => (2, None),
        Owner::Anonymous => (3, None),
    };
    sessions.rows.push(Session {
        id: no.0,
        app: key.app.as_str(),
        owner,
        username,
        client_id: key.client_id.as_str(),
        registration: registration.as_ref().map(RegistrationId::as_str),
        expiry_secs: (*expiry_secs).into(),
        detached_ms: *detached_ms,
        start: will_place.map(|(start, _)| start),
        len: will_place.map(|(_, len)| len),
        will_delay_secs: will.as_ref().map_or(0, |will| will.delay_secs.into()),
    });
}

fn messages(batch: &Batch, steps: &mut Vec<Step>) -> Result<(), serde_json::Error> {
    let mut removed = Rows::new();
    let mut queue = Rows::new();
    for (session, changes) in &batch.sessions {
        for (position, change) in &changes.queue {
            let (session, position) = (session.0, *position);
            match change {
                QueueChange::Remove => removed.rows.push(Position { session, position }),
                QueueChange::Put { record, .. } => queue.rows.push(Queue {
                    session,
                    position,
                    message: record.message,
                    qos: record.qos.level(),
                    retain: record.retain.into(),
                    subscription_ids: record.matched.as_deref().and_then(joined),
                    share: record
                        .matched
                        .as_deref()
                        .and_then(|matched| matched.share.as_ref())
                        .map(TopicFilter::as_str),
                    packet_id: record.packet_id,
                    stage: record.stage.number(),
                }),
            }
        }
    }
    steps.extend(removed.step(Kind::RemoveQueue, false)?);
    let mut removed = Rows::new();
    let mut put = Rows::new();
    for (id, message) in &batch.messages {
        match message {
            None => removed.rows.push(Id { id: *id }),
            Some(message) => {
                let (start, len) = put.append(|packets| message.write(packets));
                put.rows.push(Message {
                    id: *id,
                    expires_ms: message.expires_ms,
                    start,
                    len,
                });
            }
        }
    }
    steps.extend(removed.step(Kind::RemoveMessages, false)?);
    steps.extend(put.step(Kind::PutMessages, true)?);
    steps.extend(queue.step(Kind::PutQueue, false)?);
    Ok(())
}

fn joined(matched: &Matched) -> Option<String> {
    let ids: Vec<_> = matched.ids.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(","))
}

fn retained(batch: &Batch, steps: &mut Vec<Step>) -> Result<(), serde_json::Error> {
    let mut removed = Rows::new();
    let mut put = Rows::new();
    for (id, message) in &batch.retained {
        match message {
            None => removed.rows.push(Id { id: *id }),
            Some((app, message)) => {
                let message: &Stored = message;
                let (start, len) = put.append(|packets| message.write(packets));
                put.rows.push(Retained {
                    id: *id,
                    app: app.as_str(),
                    expires_ms: message.expires_ms,
                    start,
                    len,
                });
            }
        }
    }
    steps.extend(removed.step(Kind::RemoveRetained, false)?);
    steps.extend(put.step(Kind::PutRetained, true)?);
    Ok(())
}
