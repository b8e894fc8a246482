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
use crate::packet::SubscribeOptions;
use crate::router::AppSpace;

/// A will, ready to be published.
#[derive(Debug, Clone)]
pub(crate) struct WillMessage {
    pub(crate) message: Message,
    pub(crate) delay_secs: u32,
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
    pub(crate) detached: Option<Instant>,
    /// Its place among the app's sessions without a connection.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// Published when the connection ends without a DISCONNECT.
    pub(crate) will: Option<WillMessage>,
    /// Replaced or expired; nothing is queued any more.
    pub(crate) ended: bool,
}

impl State {
    /// Gives the session to a connection.
    pub(super) fn attach(
        &mut self,
        attachment: &Arc<Attachment>,
        expiry_secs: u32,
        will: Option<WillMessage>,
    ) {
        self.attachment = Some(Arc::clone(attachment));
        self.expiry_secs = expiry_secs;
        self.detached = None;
        self.left_by = None;
        self.place = None;
        self.will = will;
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
        let since = self.detached.filter(|_| self.attachment.is_none())?;
        Some(now.saturating_duration_since(since))
    }

    /// Whether it is over after so long without a connection.
    pub(super) fn is_over(&self, time: Duration) -> bool {
        time.as_secs() >= self.expiry_secs.into()
    }
}

/// Which sessions are to take a message that could go to others of a group as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Those that are connected and drop nothing for it.
    Connected,
    /// Those that drop nothing for it.
    Room,
    /// Whoever is there. What its queue drops is counted.
    Any,
}

/// What a session said to an offer.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It lies in its queue, or was dropped there for want of room if the offer was for any.
    Taken,
    /// The session has no connection.
    Away,
    /// The session has no room.
    Full,
    /// A filter keeps it from the session.
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
        let sent = outbound.fill(fill, aliases, output);
        self.space.traffic.add_drops(drops, outbound.drops());
        let more = !owed.is_empty() && outbound.owed() == 0;
        drop(state);
        self.space.traffic.add_sent(sent);
        more
    }

    /// Queues a routed message and wakes the connection.
    pub(crate) fn route(
        &self,
        limits: &LimitsConfig,
        publication: &Arc<Publication>,
        qos: Qos,
        retain: bool,
        matched: Option<Arc<Matched>>,
    ) {
        // Who is not there misses it.
        let _ = self.offer(limits, publication, qos, retain, matched, Offer::Any);
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
        let objection = |state: &State| {
            if state.ended {
                return Some(Offered::Ended);
            }
            let away = match offer {
                Offer::Connected => !state.is_connected(),
                Offer::Room | Offer::Any => qos == Qos::AtMostOnce && state.attachment.is_none(),
            };
            if away {
                return Some(Offered::Away);
            }
            let has_room = || state.outbound.has_room(limits, publication);
            (offer != Offer::Any && !has_room()).then_some(Offered::Full)
        };
        let mut state = self.state();
        if let Some(objection) = objection(&state) {
            return objection;
        }
        // A filter is asked only about what would come here otherwise.
        if !self.takes(state.attachment.as_ref(), publication) {
            return Offered::Refused;
        }
        let drops = state.outbound.drops();
        let queued = state
            .outbound
            .route(limits, publication, qos, retain, matched);
        self.space.traffic.add_drops(drops, state.outbound.drops());
        if let Some(attachment) = &state.attachment {
            attachment.signal.wake();
        }
        if queued == Enqueued::Full {
            tracing::debug!(session.device = %self.key, dropped = state.outbound.dropped(),
                "the queue is full, the message was dropped");
        }
        Offered::Taken
    }
}
