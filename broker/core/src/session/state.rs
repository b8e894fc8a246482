//! The part of a session that outlives its connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::{Mutex, MutexGuard};
use partyline_plugin::protocol::{RegistrationId, TopicFilter};
use partyline_plugin::{DeviceKey, Message, Qos, SessionId, SessionInfo};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::received::Received;
use super::tell::Teller;
use super::{
    Aliases, Attachment, Commands, Enqueued, Fill, Matched, Orphan, Outbound, Owed, Publication,
};
use crate::config::LimitsConfig;
use crate::metrics::Sent as Counted;
use crate::packet::SubscribeOptions;
use crate::router::AppSpace;
use crate::store::{self, LoadedSession, SessionRecord, SessionRows, Ticket, WillRecord};

/// A will, ready to be published.
#[derive(Debug, Clone)]
pub(crate) struct WillMessage {
    pub(crate) message: Message,
    pub(crate) delay_secs: u32,
}

/// Since when a session has no connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detached {
    since: Instant,
    /// How long it had had none when the process began.
    before: Duration,
}

impl Detached {
    pub(super) fn now() -> Self {
        Self {
            since: Instant::now(),
            before: Duration::ZERO,
        }
    }
}

/// What a connection that takes a session up changes at once, to be put back if it is refused.
#[derive(Debug)]
pub(crate) struct Previous {
    expiry_secs: u32,
    /// None if there was a connection.
    detached: Option<Detached>,
    left_by: Option<Arc<SessionInfo>>,
    place: Option<OwnedSemaphorePermit>,
    will: Option<WillMessage>,
}

/// One session of one device.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: DeviceKey,
    /// Of the device that it was made for: another device may come to the same key.
    pub(super) registration: Option<RegistrationId>,
    pub(crate) space: Arc<AppSpace>,
    pub(crate) commands: Arc<Commands>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// The open connection.
    pub(crate) attachment: Option<Arc<Attachment>>,
    pub(crate) outbound: Outbound,
    /// Retained messages that are to follow.
    pub(crate) owed: Owed,
    /// Subscriptions to plain topics.
    pub(crate) subscriptions: HashMap<TopicFilter, SubscribeOptions>,
    pub(crate) received: Received,
    /// Whose it was when its last connection ended, as long as it has none.
    pub(super) left_by: Option<Arc<SessionInfo>>,
    /// How long it is kept without a connection, seconds.
    pub(crate) expiry_secs: u32,
    /// Since when it has none.
    pub(super) detached: Option<Detached>,
    /// Its place among the app's sessions without a connection.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// Published when the connection ends without a DISCONNECT.
    pub(crate) will: Option<WillMessage>,
    /// Replaced or expired; nothing is queued any more.
    pub(crate) ended: bool,
}

impl Previous {
    /// Whether a will waited to become due.
    pub(crate) fn waits(&self) -> bool {
        self.will.is_some()
    }
}

impl State {
    /// Gives the session to a connection.
    pub(super) fn attach(
        &mut self,
        attachment: &Arc<Attachment>,
        expiry_secs: u32,
        will: Option<WillMessage>,
    ) -> Previous {
        self.attachment = Some(Arc::clone(attachment));
        Previous {
            expiry_secs: std::mem::replace(&mut self.expiry_secs, expiry_secs),
            detached: self.detached.take(),
            left_by: self.left_by.take(),
            place: self.place.take(),
            will: std::mem::replace(&mut self.will, will),
        }
    }

    /// Takes the session from a connection that was refused; all is as it was before.
    pub(super) fn put_back(&mut self, previous: Previous, space: &AppSpace) {
        self.expiry_secs = previous.expiry_secs;
        self.detached = previous.detached.or_else(|| Some(Detached::now()));
        self.left_by = previous.left_by;
        self.place = previous.place.or_else(|| space.place());
        self.will = previous.will;
    }

    /// Whose it is, or was when its connection ended.
    pub(crate) fn whose(&self) -> Option<Arc<SessionInfo>> {
        let attached = self.attachment.as_ref().map(|attachment| attachment.info());
        attached.or_else(|| self.left_by.clone())
    }

    /// Whether nothing has changed about whose it is: neither another connection nor another login
    /// came.
    pub(crate) fn is_of(&self, info: &SessionInfo) -> bool {
        let whose = self.whose();
        whose.is_some_and(|whose| (whose.id, whose.login) == (info.id, info.login))
    }

    /// Drops the messages whose topic no subscription covers any more. Those of shared ones are for
    /// others, to be handed out again when the lock is released.
    #[must_use]
    pub(crate) fn keep_granted(&mut self) -> Vec<Orphan> {
        let subscriptions = &self.subscriptions;
        let filters: Vec<TopicFilter> = subscriptions
            .keys()
            .map(|filter| match filter.share() {
                Ok(Some((_, topics))) => topics,
                _ => filter.clone(),
            })
            .collect();
        let granted = |topic: &str| filters.iter().any(|filter| filter.matches(topic));
        let orphans = self.outbound.take_shared(|topic| !granted(topic));
        self.outbound.keep_granted(granted);
        self.owed.keep(|filter| subscriptions.contains_key(filter));
        orphans
    }

    /// Whether a connection is there that is to go on.
    pub(crate) fn is_connected(&self) -> bool {
        let attachment = self.attachment.as_ref();
        attachment.is_some_and(|attachment| !attachment.signal.is_stopped())
    }

    /// How long it has been without a connection; `None` if it has one.
    pub(super) fn detached_for(&self, now: Instant) -> Option<Duration> {
        let Detached { since, before } = self.detached.filter(|_| self.attachment.is_none())?;
        Some(now.saturating_duration_since(since) + before)
    }

    /// Whether its will is to be published after so long without a connection.
    pub(super) fn will_is_due(&self, time: Duration) -> bool {
        let delay = self.will.as_ref().map(|will| u64::from(will.delay_secs));
        delay.is_some_and(|delay| time.as_secs() >= delay)
    }

    /// Whether it is over after so long without a connection.
    pub(super) fn is_over(&self, time: Duration) -> bool {
        time.as_secs() >= self.expiry_secs.into()
    }
}

/// A message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Of its row, if the session is stored.
    pub(crate) ticket: Option<Ticket>,
}

/// Which sessions are to take a message that could go to others of a group as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Those that are connected and drop nothing for it.
    Connected,
    /// Those that drop nothing for it.
    Room,
    /// Those that drop nothing above QoS 0 for it.
    Displacing,
    /// Whoever is there. What its queue drops is counted.
    Any,
}

/// What a session said to an offer.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It lies in its queue.
    Taken(Taken),
    /// The session has no connection.
    Away,
    /// The session has no room. If the offer was for any, the message counts as dropped there.
    Full,
    /// A filter keeps it from the session. Nobody is told that yet.
    Refused,
    /// There is no such session any more.
    Ended,
}

impl Session {
    pub(crate) fn new(
        key: DeviceKey,
        registration: Option<RegistrationId>,
        space: Arc<AppSpace>,
        commands: Arc<Commands>,
    ) -> Self {
        let state = State {
            attachment: None,
            outbound: Outbound::new(rand::random()).telling(Teller::new(&space.events, &key)),
            owed: Owed::default(),
            subscriptions: HashMap::new(),
            received: Received::default(),
            left_by: None,
            expiry_secs: 0,
            detached: None,
            place: None,
            will: None,
            ended: false,
        };
        Self {
            key,
            registration,
            space,
            commands,
            state: Mutex::new(state),
        }
    }

    /// A session as it was when the process ended. Who was connected then is not any more.
    pub(crate) fn restored(loaded: LoadedSession, space: Arc<AppSpace>) -> Arc<Self> {
        let LoadedSession {
            record,
            rows,
            will,
            subscriptions,
            queue,
            received,
        } = loaded;
        let commands = Arc::new(Commands::default());
        let session = Arc::new(Self::new(record.key, record.registration, space, commands));
        let now_ms = session.space.journal.now_ms();
        let before = now_ms.saturating_sub(record.detached_ms.unwrap_or(now_ms));
        {
            let mut state = session.state();
            state.expiry_secs = record.expiry_secs;
            state.detached = Some(Detached {
                since: Instant::now(),
                before: Duration::from_millis(u64::try_from(before).unwrap_or_default()),
            });
            // A limit that was lowered since takes nothing away.
            state.place = session.space.place();
            state.will = will;
            state.outbound.restore(rows, queue);
            state.received.restore(received);
            for (filter, options) in subscriptions {
                session.space.subscribe(&filter, &session, options);
                state.subscriptions.insert(filter, options);
            }
            if record.detached_ms.is_none() {
                session.save(&state);
            }
        }
        session
    }

    /// From now on the session is stored.
    pub(super) fn begin_to_store(&self, state: &mut State) {
        let rows = SessionRows::new(&self.space.journal);
        rows.save(self.record(state), true);
        state.outbound.keep_in(rows);
    }

    /// Stores what has changed of the session itself, if it is stored.
    pub(crate) fn save(&self, state: &State) -> Option<Ticket> {
        let rows = state.outbound.rows()?;
        Some(rows.save(self.record(state), false))
    }

    fn record(&self, state: &State) -> SessionRecord {
        let detached = state.detached_for(Instant::now());
        let will = state.will.as_ref().and_then(|will| {
            Some(WillRecord {
                packet: store::encode(&will.message)?,
                delay_secs: will.delay_secs,
            })
        });
        SessionRecord {
            key: self.key.clone(),
            registration: self.registration.clone(),
            expiry_secs: state.expiry_secs,
            detached_ms: detached.map(|time| {
                let ago = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                self.space.journal.now_ms().saturating_sub(ago)
            }),
            will,
        }
    }

    /// Takes its will, due or not.
    pub(crate) fn take_will(&self) -> Option<WillMessage> {
        let mut state = self.state();
        let will = state.will.take()?;
        self.save(&state);
        Some(will)
    }

    /// Whether it outlives the process.
    pub(crate) fn is_stored(&self) -> bool {
        self.state().outbound.rows().is_some()
    }

    /// Never held over an await, and never while another session's is held.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The state if the session belongs to that connection now.
    pub(crate) fn held_by(&self, connection: SessionId) -> Option<MutexGuard<'_, State>> {
        let state = self.state();
        let holder = state.attachment.as_ref().map(|attachment| attachment.id);
        (holder == Some(connection)).then_some(state)
    }

    /// Writes what may be sent now, if the session still belongs to that connection: one that was
    /// taken over would carry the messages away. True if it is to be asked again at once, since
    /// more retained messages are to be looked for.
    pub(crate) fn fill(
        &self,
        connection: SessionId,
        fill: Fill,
        aliases: &mut Aliases,
        output: &mut BytesMut,
    ) -> bool {
        let Some(mut state) = self.held_by(connection) else {
            return false;
        };
        let State {
            outbound,
            owed,
            attachment,
            ..
        } = &mut *state;
        if outbound.owed() == 0 {
            // Under the session's lock: what is retained later is also queued later.
            let takes = |one: &_| self.takes(attachment.as_ref(), one);
            owed.advance(&self.space.retained, outbound, takes);
        }
        let drops = outbound.drops();
        let mut sent = Counted::default();
        let next = outbound.fill(fill, aliases, output, &mut sent);
        self.space.traffic.add_drops(drops, outbound.drops());
        let more = !owed.is_empty() && outbound.owed() == 0;
        if let (Some(ticket), Some(attachment)) = (next, &state.attachment) {
            self.space.journal.wake_at(ticket, attachment);
        }
        drop(state);
        self.space.traffic.add_sent(sent);
        more
    }

    /// Queues a routed message and wakes the connection. The ticket is of its row, if the session is
    /// stored.
    pub(crate) fn route(
        &self,
        limits: &LimitsConfig,
        publication: &Arc<Publication>,
        qos: Qos,
        retain: bool,
        matched: Option<Arc<Matched>>,
    ) -> Option<Ticket> {
        // Who is not there misses it.
        let taken = self.offer(limits, publication, qos, retain, matched, Offer::Any);
        match taken {
            Offered::Taken(taken) => taken.ticket,
            Offered::Refused => {
                self.tell_filtered(publication);
                None
            }
            Offered::Away | Offered::Full | Offered::Ended => None,
        }
    }

    /// Queues a message if the offer is for this session.
    pub(crate) fn offer(
        &self,
        limits: &LimitsConfig,
        publication: &Arc<Publication>,
        qos: Qos,
        retain: bool,
        matched: Option<Arc<Matched>>,
        offer: Offer,
    ) -> Offered {
        let mut state = self.state();
        if state.ended {
            return Offered::Ended;
        }
        let away = match offer {
            Offer::Connected => !state.is_connected(),
            Offer::Room | Offer::Displacing | Offer::Any => {
                qos == Qos::AtMostOnce && state.attachment.is_none()
            }
        };
        if away {
            return Offered::Away;
        }
        let drops = state.outbound.drops();
        let displacing = offer == Offer::Displacing;
        let has_room = offer == Offer::Any
            || state
                .outbound
                .has_room(limits, publication, matched.as_ref(), displacing);
        // A filter is asked only about what would come here otherwise.
        let may_take = has_room && self.may_take(state.attachment.as_ref(), publication);
        if !may_take {
            self.space.traffic.add_drops(drops, state.outbound.drops());
            return if has_room {
                Offered::Refused
            } else {
                Offered::Full
            };
        }
        let (queued, ticket) = state
            .outbound
            .route(limits, publication, qos, retain, matched);
        self.space.traffic.add_drops(drops, state.outbound.drops());
        if let Some(attachment) = &state.attachment {
            attachment.signal.wake();
        }
        if queued == Enqueued::Full {
            tracing::debug!(session.device = %self.key, dropped = state.outbound.dropped(),
                "the queue is full, the message was dropped");
            return Offered::Full;
        }
        Offered::Taken(Taken { ticket })
    }
}
