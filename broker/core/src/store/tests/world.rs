//! Sessions and retained messages as the kernel holds them, and what is expected to be on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::database::Database;
use partyline_plugin::protocol::{AppKey, ClientId, TopicFilter, TopicLimits, TopicName};
use partyline_plugin::{
    Clock, DeviceKey, Message, MessageProperties, Origin, Owner, Principal, ProtocolVersion, Qos,
    Role, SessionId, SessionInfo,
};
use tokio::time::Instant;

use crate::packet::SubscribeOptions;
use crate::session::{Matched, Publication};
use crate::store::steps::steps;
use crate::store::{
    Journal, RetainedPlace, Row, SessionRecord, SessionRows, Stage, WillRecord, load, packet,
    writer,
};

pub(super) fn app() -> AppKey {
    AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap()
}

pub(super) fn key(id: &str) -> DeviceKey {
    DeviceKey {
        app: app(),
        owner: Owner::Device,
        client_id: ClientId::parse(id).unwrap(),
    }
}

pub(super) fn info(key: &DeviceKey) -> SessionInfo {
    let principal = Principal {
        role: Role::Device,
        registration: None,
        user: None,
    };
    let (id, peer) = (SessionId::new(1), ([127, 0, 0, 1], 1).into());
    SessionInfo::new(id, key.clone(), principal, ProtocolVersion::V5, peer, None)
}

pub(super) fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::MQTT).unwrap()
}

pub(super) fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, &TopicLimits::MQTT).unwrap()
}

pub(super) fn options(byte: u8) -> SubscribeOptions {
    SubscribeOptions::from_byte(byte).unwrap()
}

pub(super) fn record(id: &str) -> SessionRecord {
    SessionRecord {
        key: key(id),
        registration: None,
        expiry_secs: 60,
        detached_ms: None,
        will: None,
    }
}

pub(super) fn publication(name: &str, payload: &str, qos: Qos) -> Arc<Publication> {
    let mut message = Message::new(topic(name), payload.to_owned(), Origin::Client);
    message.qos = qos;
    Arc::new(Publication::new(message))
}

pub(super) fn binary(topic: TopicName, payload: Vec<u8>) -> Arc<Publication> {
    let mut message = Message::new(topic, payload, Origin::Client);
    message.qos = Qos::AtLeastOnce;
    Arc::new(Publication::new(message))
}

pub(super) fn expiring(name: &str, payload: &str, secs: u32) -> Arc<Publication> {
    let mut message = Message::new(topic(name), payload.to_owned(), Origin::Client);
    message.qos = Qos::AtLeastOnce;
    let mut properties = MessageProperties::default();
    properties.expiry_secs = Some(secs);
    message.properties = Some(Box::new(properties));
    Arc::new(Publication::new(message))
}

struct Queued {
    publication: Option<Arc<Publication>>,
    qos: Qos,
    retain: bool,
    matched: Option<Arc<Matched>>,
    packet_id: Option<u16>,
    stage: Stage,
    row: Box<Row>,
}

struct Session {
    rows: SessionRows,
    record: SessionRecord,
    will: Option<(String, u32)>,
    subscriptions: BTreeMap<String, (u8, Option<u32>)>,
    queue: Vec<Queued>,
    received: BTreeSet<u16>,
}

/// A queued message: payload, QoS, retain, what it matched, packet id, stage.
type QueuedModel = (
    Option<Vec<u8>>,
    u8,
    bool,
    Option<Arc<Matched>>,
    Option<u16>,
    Stage,
);

/// A session as it can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionModel {
    record: SessionRecord,
    will: Option<(String, u32)>,
    subscriptions: BTreeMap<String, (u8, Option<u32>)>,
    queue: Vec<QueuedModel>,
    received: BTreeSet<u16>,
}

impl SessionModel {
    /// Of the messages that are still needed.
    pub(super) fn payloads(&self) -> Vec<Vec<u8>> {
        let queue = self.queue.iter();
        queue.filter_map(|(payload, ..)| payload.clone()).collect()
    }
}

/// All that can be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) sessions: BTreeMap<String, SessionModel>,
    pub(super) retained: BTreeMap<String, Vec<u8>>,
}

pub(super) struct World {
    pub(super) journal: Arc<Journal>,
    sessions: BTreeMap<String, Session>,
    retained: BTreeMap<String, (RetainedPlace, Arc<Publication>)>,
}

impl World {
    /// What is in the tables.
    pub(super) async fn load(database: &Database, clock: Clock) -> Self {
        let journal = Arc::new(Journal::new(clock));
        let loaded = load(database, &journal).await.unwrap();
        let mut world = Self {
            journal,
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
        };
        for one in loaded.sessions {
            let queue = one.queue.into_iter().map(|one| Queued {
                publication: one.publication,
                qos: one.record.qos,
                retain: one.record.retain,
                matched: one.record.matched,
                packet_id: one.record.packet_id,
                stage: one.record.stage,
                row: one.row,
            });
            let subscriptions = one.subscriptions.iter();
            let session = Session {
                will: one.will.map(|will| {
                    let text = String::from_utf8(will.message.payload.to_vec()).unwrap();
                    (text, will.delay_secs)
                }),
                subscriptions: subscriptions
                    .map(|(filter, options)| {
                        let id = options.subscription_id.map(NonZeroU32::get);
                        (filter.as_str().to_owned(), (options.to_byte(), id))
                    })
                    .collect(),
                queue: queue.collect(),
                received: one.received.into_iter().collect(),
                rows: one.rows,
                record: one.record,
            };
            let id = session.record.key.client_id.as_str().to_owned();
            assert!(world.sessions.insert(id, session).is_none(), "once each");
        }
        for one in loaded.retained {
            assert_eq!(one.app, app());
            let topic = one.publication.message.topic.as_str().to_owned();
            let kept = (one.place, one.publication);
            assert!(world.retained.insert(topic, kept).is_none(), "once each");
        }
        world
    }

    /// Writes all that is pending.
    pub(super) async fn commit(&mut self, database: &Database) {
        let (number, batch) = self.journal.take();
        let steps = steps(&batch).unwrap();
        writer::run(database, &steps).await.unwrap();
        self.journal.written(number);
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.sessions.contains_key(id)
    }

    pub(super) fn queued(&self, id: &str) -> usize {
        self.sessions.get(id).map_or(0, |one| one.queue.len())
    }

    fn of(&mut self, id: &str) -> &mut Session {
        self.sessions.get_mut(id).unwrap()
    }

    pub(super) fn open(&mut self, id: &str) {
        let rows = SessionRows::new(&self.journal);
        rows.save(record(id), true);
        let session = Session {
            rows,
            record: record(id),
            will: None,
            subscriptions: BTreeMap::new(),
            queue: Vec::new(),
            received: BTreeSet::new(),
        };
        assert!(self.sessions.insert(id.to_owned(), session).is_none());
    }

    pub(super) fn end(&mut self, id: &str) {
        self.sessions.remove(id).unwrap().rows.end();
    }

    pub(super) fn save(
        &mut self,
        id: &str,
        detached_ms: Option<i64>,
        will: Option<(&Message, u32)>,
    ) {
        let session = self.of(id);
        session.record.detached_ms = detached_ms;
        session.will = will.map(|(message, delay_secs)| {
            let text = String::from_utf8(message.payload.to_vec()).unwrap();
            (text, delay_secs)
        });
        let mut record = session.record.clone();
        record.will = will.map(|(message, delay_secs)| WillRecord {
            packet: packet::encode(message).unwrap(),
            delay_secs,
        });
        session.rows.save(record, false);
    }

    pub(super) fn subscribe(&mut self, id: &str, text: &str, byte: u8) {
        let session = self.of(id);
        session.rows.subscribe(&filter(text), options(byte));
        session.subscriptions.insert(text.to_owned(), (byte, None));
    }

    pub(super) fn subscribe_with_id(&mut self, id: &str, text: &str, subscription_id: u32) {
        let session = self.of(id);
        let mut options = options(1);
        options.subscription_id = NonZeroU32::new(subscription_id);
        session.rows.subscribe(&filter(text), options);
        let subscribed = (1, Some(subscription_id));
        session.subscriptions.insert(text.to_owned(), subscribed);
    }

    pub(super) fn unsubscribe(&mut self, id: &str, text: &str) {
        let session = self.of(id);
        session.rows.unsubscribe(&filter(text));
        session.subscriptions.remove(text);
    }

    pub(super) fn queue(&mut self, id: &str, message: &Arc<Publication>, qos: Qos, retain: bool) {
        self.queue_for(id, message, qos, retain, None);
    }

    pub(super) fn queue_for(
        &mut self,
        id: &str,
        message: &Arc<Publication>,
        qos: Qos,
        retain: bool,
        matched: Option<Arc<Matched>>,
    ) {
        let session = self.of(id);
        let queued = session.rows.queue(message, qos, retain, matched.clone());
        let (row, _) = queued.unwrap();
        session.queue.push(Queued {
            publication: Some(Arc::clone(message)),
            qos,
            retain,
            matched,
            packet_id: None,
            stage: Stage::Waits,
            row,
        });
    }

    pub(super) fn sent(&mut self, id: &str, at: usize, packet_id: u16) {
        let queued = &mut self.of(id).queue[at];
        let stage = match queued.qos {
            Qos::ExactlyOnce => Stage::Rec,
            _ => Stage::Ack,
        };
        queued.row.sent(packet_id, stage);
        (queued.packet_id, queued.stage) = (Some(packet_id), stage);
    }

    pub(super) fn is_waiting(&self, id: &str, at: usize) -> bool {
        let queued = self.sessions.get(id).and_then(|one| one.queue.get(at));
        queued.is_some_and(|queued| queued.stage == Stage::Waits)
    }

    /// PUBREC came.
    pub(super) fn received(&mut self, id: &str, at: usize) {
        let queued = &mut self.of(id).queue[at];
        if queued.stage == Stage::Rec {
            queued.row.received();
            (queued.publication, queued.stage) = (None, Stage::Comp);
        }
    }

    pub(super) fn drop_queued(&mut self, id: &str, at: usize) {
        self.of(id).queue.remove(at);
    }

    pub(super) fn receive(&mut self, id: &str, packet_id: u16) {
        let session = self.of(id);
        session.rows.receive(packet_id);
        session.received.insert(packet_id);
    }

    pub(super) fn release(&mut self, id: &str, packet_id: u16) {
        let session = self.of(id);
        session.rows.release(packet_id);
        session.received.remove(&packet_id);
    }

    /// An empty payload removes the topic's message.
    pub(super) fn retain(&mut self, name: &str, payload: &str) {
        if payload.is_empty() {
            self.retained.remove(name);
        } else {
            self.retain_message(name, &publication(name, payload, Qos::AtLeastOnce));
        }
    }

    pub(super) fn retain_message(&mut self, name: &str, message: &Arc<Publication>) {
        let old = self.retained.remove(name).map(|(place, _)| place);
        let place = old.unwrap_or_else(|| RetainedPlace::new(&self.journal));
        place.put(&app(), message).unwrap();
        let kept = (place, Arc::clone(message));
        self.retained.insert(name.to_owned(), kept);
    }

    pub(super) fn drop_app(&mut self) {
        self.journal.drop_app(&app());
        self.retained.clear();
    }

    pub(super) fn model(&self) -> Model {
        let sessions = self.sessions.iter().map(|(id, session)| {
            let payload = |one: &Queued| Some(one.publication.as_ref()?.message.payload.to_vec());
            let queue = session.queue.iter().map(|one| {
                let level = one.qos.level();
                let matched = one.matched.clone();
                (
                    payload(one),
                    level,
                    one.retain,
                    matched,
                    one.packet_id,
                    one.stage,
                )
            });
            let model = SessionModel {
                record: session.record.clone(),
                will: session.will.clone(),
                subscriptions: session.subscriptions.clone(),
                queue: queue.collect(),
                received: session.received.clone(),
            };
            (id.clone(), model)
        });
        let retained = self.retained.iter();
        Model {
            sessions: sessions.collect(),
            retained: retained
                .map(|(topic, (_, one))| (topic.clone(), one.message.payload.to_vec()))
                .collect(),
        }
    }

    pub(super) fn retained(&self) -> Vec<(String, String)> {
        let retained = self.model().retained.into_iter();
        retained
            .map(|(topic, payload)| (topic, String::from_utf8(payload).unwrap()))
            .collect()
    }

    pub(super) fn payloads(&self, id: &str) -> Vec<String> {
        let queue = self.sessions[id].queue.iter();
        let payload = |one: &Queued| one.publication.as_ref().unwrap().message.payload.to_vec();
        queue
            .map(|one| String::from_utf8(payload(one)).unwrap())
            .collect()
    }

    pub(super) fn expiry(&self, id: &str, at: usize) -> Option<Duration> {
        let publication = self.sessions[id].queue[at].publication.as_ref()?;
        Some(
            publication
                .expires()?
                .saturating_duration_since(Instant::now()),
        )
    }
}
