//! Observers: told of what happened, never in the way of it.
//!
//! Each registration has a queue of its own, and one task that takes from it, so the events of one
//! client come in their order. Who observes too slowly loses events, counted and with a warning;
//! nobody waits for an observer. What must not be lost is not for an observer: write it down in a
//! [`PublishFilter`] of [`Phase::Handle`] before the message is acknowledged, or send it as a tracked
//! delivery. A filter has a deadline and is dropped at any of its `await`s when that has passed, in
//! the middle of a write too: so the write goes on in a task of its own ([`Tasks::spawn`]), for whose
//! end the filter waits, and knows a repetition of the message that was refused meanwhile.
//!
//! ```
//! use std::sync::Arc;
//!
//! use partyline_plugin::{DEFAULT_QUEUE, Event, EventKind, Observer, Registrar, async_trait};
//!
//! struct Presence;
//!
//! #[async_trait]
//! impl Observer for Presence {
//!     async fn observe(&self, event: &Event) {
//!         match event {
//!             Event::SessionOpened { session, .. } => println!("{} is here", session.device),
//!             Event::SessionClosed { session, reason, .. } => {
//!                 println!("{} left: {reason:?}", session.device);
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//!
//! fn register(registrar: &mut Registrar) {
//!     let kinds = [EventKind::SessionOpened, EventKind::SessionClosed];
//!     registrar.observe(kinds, DEFAULT_QUEUE, Arc::new(Presence));
//! }
//! ```
//!
//! [`PublishFilter`]: crate::PublishFilter
//! [`Phase::Handle`]: crate::Phase::Handle
//! [`Tasks::spawn`]: crate::Tasks::spawn

use std::net::SocketAddr;
use std::ops::BitOr;
use std::sync::Arc;

use async_trait::async_trait;
use partyline_protocol::{AppKey, Reason, TopicFilter};

use crate::{DeviceKey, Message, ProtocolVersion, Qos, SessionInfo};

/// How many events the queue of an observer usually holds.
pub const DEFAULT_QUEUE: usize = 4096;

/// Told of events, one after the other. A panic costs the event alone. A call that takes long is
/// reported, and those that wait behind it may fill the queue.
#[async_trait]
pub trait Observer: Send + Sync + 'static {
    /// Something happened. What the plugin publishes from here counts as caused by it: a chain of
    /// causes ends after [`MAX_HOPS`].
    ///
    /// [`MAX_HOPS`]: crate::MAX_HOPS
    async fn observe(&self, event: &Event);
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A connection has a session, a new one.
    #[non_exhaustive]
    SessionOpened {
        /// The connection.
        session: Arc<SessionInfo>,
    },
    /// A connection has a session that was kept for it.
    #[non_exhaustive]
    SessionResumed {
        /// The connection.
        session: Arc<SessionInfo>,
    },
    /// A connection has parted from its session. If another took over, this comes before that one's
    /// [`Event::SessionResumed`] or [`Event::SessionOpened`].
    #[non_exhaustive]
    SessionClosed {
        /// The connection, as it was last.
        session: Arc<SessionInfo>,
        /// Why.
        reason: CloseReason,
        /// Whether the session goes on without it.
        kept: bool,
    },
    /// A session that had no connection is over: its time was up, its device began a clean one, or
    /// its app is gone.
    #[non_exhaustive]
    SessionExpired {
        /// The session's key.
        device: DeviceKey,
    },
    /// A filter was granted, or its options were changed.
    #[non_exhaustive]
    Subscribed {
        /// The connection.
        session: Arc<SessionInfo>,
        /// The filter.
        filter: TopicFilter,
        /// The QoS granted.
        qos: Qos,
    },
    /// A subscription went: by UNSUBSCRIBE, by a plugin, or since access hooks no longer allow it.
    /// What ends with its session or, under `$`, with its connection is not told one by one.
    #[non_exhaustive]
    Unsubscribed {
        /// The connection.
        session: Arc<SessionInfo>,
        /// The filter.
        filter: TopicFilter,
    },
    /// A message was routed. Its own plugin is not told of what it published.
    #[non_exhaustive]
    Published {
        /// The app whose message it is.
        app: AppKey,
        /// Who published it, if it came from a connection; a will's has ended.
        session: Option<Arc<SessionInfo>>,
        /// The message as it was routed.
        message: Message,
    },
    /// A routed message was handed to a client's connection for the first time.
    #[non_exhaustive]
    Delivered {
        /// Whose session.
        device: DeviceKey,
        /// The message.
        message: Message,
        /// The QoS it is delivered at.
        qos: Qos,
    },
    /// A client took a routed message of QoS 1 or 2 into its care, by PUBACK or PUBREC, or refused it.
    #[non_exhaustive]
    Acked {
        /// Whose session.
        device: DeviceKey,
        /// The message.
        message: Message,
        /// What the client said; an error is possible in MQTT 5.
        reason: Reason,
    },
    /// A routed message will not reach a session.
    #[non_exhaustive]
    Dropped {
        /// Whose session.
        device: DeviceKey,
        /// The message.
        message: Message,
        /// Why.
        why: DropReason,
    },
    /// A CONNECT was refused.
    #[non_exhaustive]
    AuthFailed {
        /// The client id that it named, unproven.
        client_id: Box<str>,
        /// Where it came from.
        peer: SocketAddr,
        /// The protocol.
        version: ProtocolVersion,
        /// Why.
        reason: Reason,
    },
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client said goodbye.
    Disconnected,
    /// The socket closed or failed.
    Lost,
    /// The client broke the protocol, or a filter ended the connection.
    ProtocolError(Reason),
    /// The broker ended it: a takeover, a kick, silence, a stop.
    Ended(Reason),
}

/// Why a message did not reach a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The session's queue was full.
    QueueFull,
    /// It expired before it could be sent.
    Expired,
    /// It is larger than the client's Maximum Packet Size.
    TooLarge,
    /// A [`DeliverFilter`](crate::DeliverFilter) passed it over.
    Filtered,
    /// No subscription that is still allowed covers it.
    NotAllowed,
}

/// Which kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the events of these names")]
pub enum EventKind {
    SessionOpened,
    SessionResumed,
    SessionClosed,
    SessionExpired,
    Subscribed,
    Unsubscribed,
    Published,
    Delivered,
    Acked,
    Dropped,
    AuthFailed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::SessionOpened,
        Self::SessionResumed,
        Self::SessionClosed,
        Self::SessionExpired,
        Self::Subscribed,
        Self::Unsubscribed,
        Self::Published,
        Self::Delivered,
        Self::Acked,
        Self::Dropped,
        Self::AuthFailed,
    ];

    /// Its name in snake case, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionOpened => "session_opened",
            Self::SessionResumed => "session_resumed",
            Self::SessionClosed => "session_closed",
            Self::SessionExpired => "session_expired",
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Published => "published",
            Self::Delivered => "delivered",
            Self::Acked => "acked",
            Self::Dropped => "dropped",
            Self::AuthFailed => "auth_failed",
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventKinds(u16);

impl EventKinds {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// Every kind, also those that come with later versions.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether the kind is in it.
    pub const fn contains(self, kind: EventKind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Whether any kind of the other set is in it.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds that are in it.
    pub fn iter(self) -> impl Iterator<Item = EventKind> {
        let all = EventKind::ALL.into_iter();
        all.filter(move |kind| self.contains(*kind))
    }
}

impl From<EventKind> for EventKinds {
    fn from(kind: EventKind) -> Self {
        Self(1 << kind as u16)
    }
}

impl<const N: usize> From<[EventKind; N]> for EventKinds {
    fn from(kinds: [EventKind; N]) -> Self {
        kinds
            .into_iter()
            .fold(Self::NONE, |set, kind| set | kind.into())
    }
}

impl BitOr for EventKinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Events are made by the broker, and by tests of observers.
impl Event {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::SessionOpened { .. } => EventKind::SessionOpened,
            Self::SessionResumed { .. } => EventKind::SessionResumed,
            Self::SessionClosed { .. } => EventKind::SessionClosed,
            Self::SessionExpired { .. } => EventKind::SessionExpired,
            Self::Subscribed { .. } => EventKind::Subscribed,
            Self::Unsubscribed { .. } => EventKind::Unsubscribed,
            Self::Published { .. } => EventKind::Published,
            Self::Delivered { .. } => EventKind::Delivered,
            Self::Acked { .. } => EventKind::Acked,
            Self::Dropped { .. } => EventKind::Dropped,
            Self::AuthFailed { .. } => EventKind::AuthFailed,
        }
    }

    /// The message that it is about.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Published { message, .. }
            | Self::Delivered { message, .. }
            | Self::Acked { message, .. }
            | Self::Dropped { message, .. } => Some(message),
            _ => None,
        }
    }

    /// [`Event::SessionOpened`].
    pub fn session_opened(session: Arc<SessionInfo>) -> Self {
        Self::SessionOpened { session }
    }

    /// [`Event::SessionResumed`].
    pub fn session_resumed(session: Arc<SessionInfo>) -> Self {
        Self::SessionResumed { session }
    }

    /// [`Event::SessionClosed`].
    pub fn session_closed(session: Arc<SessionInfo>, reason: CloseReason, kept: bool) -> Self {
        Self::SessionClosed {
            session,
            reason,
            kept,
        }
    }

    /// [`Event::SessionExpired`].
    pub fn session_expired(device: DeviceKey) -> Self {
        Self::SessionExpired { device }
    }

    /// [`Event::Subscribed`].
    pub fn subscribed(session: Arc<SessionInfo>, filter: TopicFilter, qos: Qos) -> Self {
        Self::Subscribed {
            session,
            filter,
            qos,
        }
    }

    /// [`Event::Unsubscribed`].
    pub fn unsubscribed(session: Arc<SessionInfo>, filter: TopicFilter) -> Self {
        Self::Unsubscribed { session, filter }
    }

    /// [`Event::Published`].
    pub fn published(app: AppKey, session: Option<Arc<SessionInfo>>, message: Message) -> Self {
        Self::Published {
            app,
            session,
            message,
        }
    }

    /// [`Event::Delivered`].
    pub fn delivered(device: DeviceKey, message: Message, qos: Qos) -> Self {
        Self::Delivered {
            device,
            message,
            qos,
        }
    }

    /// [`Event::Acked`].
    pub fn acked(device: DeviceKey, message: Message, reason: Reason) -> Self {
        Self::Acked {
            device,
            message,
            reason,
        }
    }

    /// [`Event::Dropped`].
    pub fn dropped(device: DeviceKey, message: Message, why: DropReason) -> Self {
        Self::Dropped {
            device,
            message,
            why,
        }
    }

    /// [`Event::AuthFailed`].
    pub fn auth_failed(
        client_id: Box<str>,
        peer: SocketAddr,
        version: ProtocolVersion,
        reason: Reason,
    ) -> Self {
        Self::AuthFailed {
            client_id,
            peer,
            version,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        for kind in EventKind::ALL {
            let set = EventKinds::from(kind);
            assert_eq!(set.iter().collect::<Vec<_>>(), [kind]);
            assert!(EventKinds::ALL.contains(kind) && !EventKinds::NONE.contains(kind));
        }
        let two = EventKinds::from([EventKind::Acked, EventKind::Published]);
        assert!(two.meets(EventKind::Acked.into()) && !two.meets(EventKind::Dropped.into()));
    }
}
