//! Reading all of it at start.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::database::{Database, Pool};
use partyline_plugin::protocol::{AppKey, ClientId, TopicFilter, TopicLimits, Username};
use partyline_plugin::{DeviceKey, Origin, Owner, Qos};
use sqlx::FromRow;
use tokio::time::Instant;

use super::record::{QueueRecord, SessionNo, SessionRecord, Stage};
use super::row::{Body, RetainedPlace, Row, SessionRows};
use super::{Journal, packet, postgres, sqlite};
use crate::packet::SubscribeOptions;
use crate::session::{Matched, Publication, WillMessage};

#[derive(FromRow)]
pub(super) struct SessionRow {
    id: i64,
    app: String,
    owner: i64,
    username: Option<String>,
    client_id: String,
    registration: Option<String>,
    expiry_secs: i64,
    detached_ms: Option<i64>,
    will: Option<Vec<u8>>,
    will_delay_secs: i64,
}

#[derive(FromRow)]
pub(super) struct SubscriptionRow {
    session: i64,
    filter: String,
    options: i64,
    subscription_id: Option<i64>,
}

#[derive(FromRow)]
pub(super) struct MessageRow {
    id: i64,
    expires_ms: Option<i64>,
    packet: Vec<u8>,
}

#[derive(FromRow)]
pub(super) struct QueueRow {
    session: i64,
    position: i64,
    message: Option<i64>,
    qos: i64,
    retain: i64,
    subscription_ids: Option<String>,
    share: Option<String>,
    packet_id: Option<i64>,
    stage: i64,
}

#[derive(FromRow)]
pub(super) struct ReceivedRow {
    session: i64,
    packet_id: i64,
}

#[derive(FromRow)]
pub(super) struct RetainedRow {
    id: i64,
    app: String,
    expires_ms: Option<i64>,
    packet: Vec<u8>,
}

/// All that was there.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) sessions: Vec<LoadedSession>,
    pub(crate) retained: Vec<LoadedRetained>,
}

#[derive(Debug)]
pub(crate) struct LoadedSession {
    pub(crate) record: SessionRecord,
    pub(crate) rows: SessionRows,
    pub(crate) will: Option<WillMessage>,
    pub(crate) subscriptions: Vec<(TopicFilter, SubscribeOptions)>,
    /// In the order of sending.
    pub(crate) queue: Vec<LoadedMessage>,
    /// Packet ids of QoS 2 messages that are done and not released.
    pub(crate) received: Vec<u16>,
}

#[derive(Debug)]
pub(crate) struct LoadedMessage {
    /// None once only the packet id is needed.
    pub(crate) publication: Option<Arc<Publication>>,
    pub(crate) record: QueueRecord,
    pub(crate) row: Box<Row>,
}

#[derive(Debug)]
pub(crate) struct LoadedRetained {
    pub(crate) app: AppKey,
    pub(crate) publication: Arc<Publication>,
    pub(crate) place: RetainedPlace,
}

/// Reads all of it; the journal numbers what comes later behind it.
pub(crate) async fn load(
    database: &Database,
    journal: &Arc<Journal>,
) -> Result<Loaded, sqlx::Error> {
    let mut reader = Reader::new(journal);
    match database.pool() {
        Pool::Sqlite { reader: pool, .. } => sqlite::read::all(pool, &mut reader).await?,
        Pool::Postgres(pool) => postgres::read::all(pool, &mut reader).await?,
    }
    Ok(reader.finish())
}

/// Makes of rows what they stand for. What no version of this broker wrote is left where it is.
pub(super) struct Reader<'a> {
    journal: &'a Arc<Journal>,
    now: Instant,
    now_ms: i64,
    loaded: Loaded,
    /// Places in `loaded`.
    sessions: HashMap<i64, usize>,
    messages: HashMap<i64, (Arc<Publication>, Arc<Body>)>,
    /// The highest numbers of sessions, messages and retained messages.
    highest: (i64, i64, i64),
    unreadable: u64,
}

impl<'a> Reader<'a> {
    fn new(journal: &'a Arc<Journal>) -> Self {
        Self {
            journal,
            now: Instant::now(),
            now_ms: journal.now_ms(),
            loaded: Loaded::default(),
            sessions: HashMap::new(),
            messages: HashMap::new(),
            highest: (0, 0, 0),
            unreadable: 0,
        }
    }

    fn finish(self) -> Loaded {
        let (session, message, retained) = self.highest;
        self.journal.number_after(session, message, retained);
        if self.unreadable > 0 {
            tracing::error!(
                rows = self.unreadable,
                "stored rows of sessions or retained messages could not be read and are left out"
            );
        }
        self.loaded
    }

    /// Counts what could not be read.
    fn keep(&mut self, read: Option<()>) {
        self.unreadable += u64::from(read.is_none());
    }

    pub(super) fn session(&mut self, row: SessionRow) {
        self.highest.0 = self.highest.0.max(row.id);
        let read = self.read_session(row);
        self.keep(read);
    }

    fn read_session(&mut self, row: SessionRow) -> Option<()> {
        let owner = match (row.owner, row.username) {
            (0, None) => Owner::Device,
            (1, Some(name)) => Owner::User(Username::parse(name).ok()?),
            (2, None) => Owner::Server,
            (3, None) => Owner::Anonymous,
            _ => return None,
        };
        let key = DeviceKey {
            app: AppKey::parse(row.app).ok()?,
            owner,
            client_id: ClientId::parse(row.client_id).ok()?,
        };
        let registration = row.registration.map(|text| text.parse().ok());
        let will = match row.will {
            None => None,
            Some(packet) => Some(WillMessage {
                message: packet::decode(&packet, Origin::Will)?,
                delay_secs: u32::try_from(row.will_delay_secs).ok()?,
            }),
        };
        let record = SessionRecord {
            key,
            registration: match registration {
                None => None,
                Some(registration) => Some(registration?),
            },
            expiry_secs: u32::try_from(row.expiry_secs).ok()?,
            detached_ms: row.detached_ms,
            will: None,
        };
        self.sessions.insert(row.id, self.loaded.sessions.len());
        self.loaded.sessions.push(LoadedSession {
            record,
            rows: SessionRows::at(self.journal, SessionNo(row.id)),
            will,
            subscriptions: Vec::new(),
            queue: Vec::new(),
            received: Vec::new(),
        });
        Some(())
    }

    fn of(&mut self, session: i64) -> Option<&mut LoadedSession> {
        let place = self.sessions.get(&session)?;
        self.loaded.sessions.get_mut(*place)
    }

    pub(super) fn subscription(&mut self, row: &SubscriptionRow) {
        let read = self.read_subscription(row);
        self.keep(read);
    }

    fn read_subscription(&mut self, row: &SubscriptionRow) -> Option<()> {
        let filter = TopicFilter::parse(&row.filter, &TopicLimits::MQTT).ok()?;
        let mut options = SubscribeOptions::from_byte(u8::try_from(row.options).ok()?)?;
        if let Some(id) = row.subscription_id {
            options.subscription_id = Some(NonZeroU32::new(u32::try_from(id).ok()?)?);
        }
        self.of(row.session)?.subscriptions.push((filter, options));
        Some(())
    }

    /// The message, and when it expires.
    fn publication(&self, packet: &[u8], expires_ms: Option<i64>) -> Option<Arc<Publication>> {
        let mut message = packet::decode(packet, Origin::Client)?;
        let rest = expires_ms.map(|at| {
            let rest = at.saturating_sub(self.now_ms).max(0);
            Duration::from_millis(u64::try_from(rest).unwrap_or_default())
        });
        if let (Some(properties), Some(rest)) = (&mut message.properties, rest) {
            let secs = u32::try_from(rest.as_secs()).unwrap_or(u32::MAX);
            properties.expiry_secs = Some(secs);
        }
        let expires = rest.and_then(|rest| self.now.checked_add(rest));
        Some(Arc::new(Publication::until(message, expires)))
    }

    pub(super) fn message(&mut self, row: &MessageRow) {
        self.highest.1 = self.highest.1.max(row.id);
        let publication = self.publication(&row.packet, row.expires_ms);
        self.keep(publication.as_ref().map(drop));
        if let Some(publication) = publication {
            let body = Body::at(self.journal, row.id);
            publication.has_body(&body);
            self.messages.insert(row.id, (publication, body));
        }
    }

    pub(super) fn queue(&mut self, row: QueueRow) {
        let read = self.read_queue(row);
        self.keep(read);
    }

    fn read_queue(&mut self, row: QueueRow) -> Option<()> {
        let position = u64::try_from(row.position).ok()?;
        // Never given again, whatever is in it.
        self.of(row.session)?.rows.give_after(position);
        let stage = Stage::of(row.stage)?;
        let packet_id = match row.packet_id {
            None => None,
            Some(id) => Some(u16::try_from(id).ok()?),
        };
        if packet_id.is_none() != (stage == Stage::Waits) {
            return None;
        }
        let ids = row.subscription_ids.as_deref().unwrap_or_default();
        let ids = ids.split(',').filter(|id| !id.is_empty());
        let ids = ids.map(|id| id.parse().ok()).collect::<Option<Vec<_>>>()?;
        let share = match row.share {
            None => None,
            Some(share) => Some(TopicFilter::parse(&share, &TopicLimits::MQTT).ok()?),
        };
        let matters = !ids.is_empty() || share.is_some();
        let record = QueueRecord {
            message: row.message,
            qos: [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
                .into_iter()
                .find(|qos| i64::from(qos.level()) == row.qos)?,
            retain: row.retain != 0,
            matched: matters.then(|| Arc::new(Matched { ids, share })),
            packet_id,
            stage,
        };
        let (publication, body) = match row.message {
            None if stage == Stage::Comp => (None, None),
            None => return None,
            Some(message) => {
                let (publication, body) = self.messages.get(&message)?;
                (Some(Arc::clone(publication)), Some(Arc::clone(body)))
            }
        };
        let now = self.now;
        let session = self.of(row.session)?;
        let row = Box::new(session.rows.read(position, record.clone(), body));
        if stage == Stage::Waits && publication.as_ref().is_some_and(|one| one.expired(now)) {
            // The row goes with it.
            return Some(());
        }
        session.queue.push(LoadedMessage {
            publication,
            record,
            row,
        });
        Some(())
    }

    pub(super) fn received(&mut self, row: &ReceivedRow) {
        let read = u16::try_from(row.packet_id).ok().and_then(|id| {
            self.of(row.session)?.received.push(id);
            Some(())
        });
        self.keep(read);
    }

    pub(super) fn retained(&mut self, row: RetainedRow) {
        self.highest.2 = self.highest.2.max(row.id);
        let read = self.read_retained(row);
        self.keep(read);
    }

    fn read_retained(&mut self, row: RetainedRow) -> Option<()> {
        let app = AppKey::parse(row.app).ok()?;
        let publication = self.publication(&row.packet, row.expires_ms)?;
        let place = RetainedPlace::at(self.journal, row.id);
        if publication.expired(self.now) {
            // The row goes with it.
            return Some(());
        }
        self.loaded.retained.push(LoadedRetained {
            app,
            publication,
            place,
        });
        Some(())
    }
}
