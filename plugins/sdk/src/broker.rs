//! The handle through which plugins act on the broker.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use partyline_protocol::{AppKey, Reason, TopicName, Username};
use tokio::sync::oneshot;

use crate::{
    DeviceKey, Message, Outgoing, Payload, Qos, SessionHandle, SessionId, SessionInfo, UserLogin,
};

/// A cheap clone of the way into the broker.
#[derive(Clone)]
pub struct BrokerHandle(Arc<dyn Broker>);

impl BrokerHandle {
    /// Wraps an implementation: the broker, or a test double.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self(broker)
    }
}

impl std::ops::Deref for BrokerHandle {
    type Target = dyn Broker;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for BrokerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokerHandle")
    }
}

/// What became of an untracked delivery.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It waits in the session's queue.
    Queued,
    /// The session's queue is full; the message was dropped and counted.
    Full,
    /// No such session, or its user has changed.
    Gone,
}

/// How a tracked delivery ended.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackedOutcome {
    /// The client acknowledged it with success.
    Acked,
    /// The client acknowledged it with an error (MQTT 5).
    Refused(Reason),
    /// The packet is larger than the client's Maximum Packet Size and was not sent.
    TooLarge,
    /// The session's queue has no room now; try again later.
    Full,
    /// The connection ended or its user changed first.
    Gone,
}

/// The end of a tracked delivery, as a future.
#[derive(Debug)]
pub struct Tracked(oneshot::Receiver<TrackedOutcome>);

impl Tracked {
    /// A pair of future and sender; a dropped sender reads as [`TrackedOutcome::Gone`].
    pub fn new() -> (oneshot::Sender<TrackedOutcome>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Tracked {
    type Output = TrackedOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TrackedOutcome> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|outcome| outcome.unwrap_or(TrackedOutcome::Gone))
    }
}

/// The connection no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is gone")]
pub struct Gone;

/// Why a message could not be routed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Plugins deliver `$` topics to sessions, the router does not carry them.
    #[error("topics that begin with $ are not routed")]
    ReservedTopic,
    /// The broker is stopping.
    #[error("the broker is stopping")]
    Stopping,
    /// It was to be retained, and the app has as many retained messages as it may.
    #[error("the app's limit of retained messages is reached")]
    RetainedFull,
}

/// How to end a connection.
#[derive(Debug, Clone)]
pub struct Kick {
    /// The reason code of the DISCONNECT (MQTT 5).
    pub reason: Reason,
    /// Its reason string.
    pub message: Option<String>,
    /// Sent first to clients that know no server DISCONNECT (3.1 and 3.1.1).
    pub notice: Option<Outgoing>,
}

/// What the broker does for plugins. All of it is safe to call from any task.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Routes a message by its topic to the sessions of one app. Returns when every target has it.
    async fn publish(&self, app: &AppKey, message: Message) -> Result<(), PublishError>;

    /// Queues a message for one session, past the router.
    fn deliver(&self, to: SessionHandle, message: Outgoing) -> Delivery;

    /// Queues a QoS 1 message for one session and says how it ended. It is never kept over a
    /// reconnect: the plugin's own cursor says what comes next.
    fn deliver_tracked(&self, to: SessionHandle, message: Outgoing) -> Tracked;

    /// A tracked delivery to each of many sessions: a head of its own before one shared body.
    fn deliver_each(
        &self,
        to: &[(SessionHandle, Bytes)],
        topic: &TopicName,
        body: &Bytes,
    ) -> Vec<Tracked> {
        to.iter()
            .map(|(session, head)| {
                let payload = Payload {
                    head: head.clone(),
                    body: body.clone(),
                };
                let message = Outgoing {
                    topic: topic.clone(),
                    payload,
                    qos: Qos::AtLeastOnce,
                };
                self.deliver_tracked(*session, message)
            })
            .collect()
    }

    /// The connection with this id, if it is open.
    fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>>;

    /// The open connection of a device.
    fn session_of(&self, device: &DeviceKey) -> Option<Arc<SessionInfo>>;

    /// The open connections on which a user is logged in.
    fn sessions_of(&self, app: &AppKey, user: &Username) -> Vec<Arc<SessionInfo>>;

    /// Logs a user in or out on an open connection: raises the login generation, drops what was
    /// queued or in flight for the old one, closes outlets, authorizes every subscription again,
    /// then opens the outlets that are still covered. Returns the new snapshot. If an access hook
    /// faults, no subscription is dropped; the connection ends, and the next one authorizes again.
    async fn set_user(
        &self,
        session: SessionId,
        user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone>;

    /// Says that the answers of the plugin's access hooks have changed, for one app or for all.
    /// Every saved subscription of its sessions, also of those that wait for their client, is
    /// authorized again, and what is now denied goes with the messages that only it brought. What
    /// is subscribed meanwhile is asked by the new rules. MQTT cannot tell the client; it is logged.
    /// If an access hook faults, no subscription is dropped, but an open connection ends.
    ///
    /// Returns when all have been asked, which takes a while where there are many.
    async fn access_changed(&self, app: Option<&AppKey>);

    /// Ends a connection. Returns at once; false if it was gone already.
    fn kick(&self, session: SessionId, how: Kick) -> bool;

    /// Ends every connection of an app; its sessions, retained messages and queues are dropped.
    fn drop_app(&self, app: &AppKey);
}
