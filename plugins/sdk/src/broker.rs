//! The handle through which plugins act on the broker.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use partyline_protocol::{AppKey, Reason, TopicFilter, TopicName, Username};
use tokio::sync::oneshot;

use crate::cause::{MAX_HOPS, hops_now};
use crate::{
    DeviceKey, Message, Origin, Outgoing, Payload, Qos, SessionHandle, SessionId, SessionInfo,
    SubscriptionOptions, UserLogin, reentry,
};

/// The way into the broker. Cheap to clone, and safe to use from any task.
///
/// Sessions and devices are named together with their app; there is no way to reach a bare client
/// id of whatever app.
#[derive(Clone)]
pub struct BrokerHandle {
    broker: Arc<dyn Broker>,
    /// Whose handle it is.
    plugin: Option<&'static str>,
}

impl BrokerHandle {
    /// Wraps an implementation: the broker, or a test double.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self {
            broker,
            plugin: None,
        }
    }

    /// The same for one plugin: what it publishes bears its id.
    #[must_use]
    pub fn of_plugin(mut self, plugin: &'static str) -> Self {
        self.plugin = Some(plugin);
        self
    }

    fn broker(&self) -> &dyn Broker {
        reentry::check();
        &*self.broker
    }

    /// Routes a message by its topic to the sessions of one app, and retains it if it says so.
    /// Returns when every target has it. No topic under `$` is routed.
    ///
    /// It meets deliver filters, though not the plugin's own, and no others. It is told to
    /// observers, though not to the plugin's own; what one of them publishes in turn has one hop
    /// more, and beyond [`MAX_HOPS`] it is refused.
    pub async fn publish(&self, app: &AppKey, message: Message) -> Result<(), PublishError> {
        let message = self.stamped(message)?;
        self.broker().publish(app, message).await
    }

    /// Keeps a message as the retained one of its topic and sends it to nobody. An empty payload
    /// takes the topic's message away.
    pub async fn retain(&self, app: &AppKey, message: Message) -> Result<(), PublishError> {
        let message = self.stamped(message)?;
        self.broker().retain(app, message).await
    }

    /// The retained message of a topic.
    pub async fn retained(&self, app: &AppKey, topic: &TopicName) -> Option<Message> {
        self.broker().retained(app, topic).await
    }

    /// Takes the retained message of a topic away.
    pub async fn clear_retained(
        &self,
        app: &AppKey,
        topic: &TopicName,
    ) -> Result<(), PublishError> {
        let none = Message::new(topic.clone(), Bytes::new(), Origin::System);
        self.retain(app, none).await
    }

    fn stamped(&self, mut message: Message) -> Result<Message, PublishError> {
        message.hops = hops_now(message.hops);
        if message.hops > MAX_HOPS {
            return Err(PublishError::TooManyHops);
        }
        if let Some(plugin) = self.plugin {
            message.origin = Origin::Plugin(plugin);
        }
        Ok(message)
    }

    /// Queues a message for one session, past the router.
    pub fn deliver(&self, to: SessionHandle, message: Outgoing) -> Delivery {
        self.broker().deliver(to, message)
    }

    /// Queues a QoS 1 message for one session and says how it ended. It is never kept over a
    /// reconnect: the plugin's own cursor says what comes next. Who has many to send keeps a few
    /// of them unanswered at a time: that window is the plugin's to choose.
    pub fn deliver_tracked(&self, to: SessionHandle, message: Outgoing) -> Tracked {
        self.broker().deliver_tracked(to, message)
    }

    /// A tracked delivery to each of many sessions: a head of its own before one shared body.
    pub fn deliver_each(
        &self,
        to: &[(SessionHandle, Bytes)],
        topic: &TopicName,
        body: &Bytes,
    ) -> Vec<Tracked> {
        self.broker().deliver_each(to, topic, body)
    }

    /// The connection with this id, if it is open.
    pub fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>> {
        self.broker().session(id)
    }

    /// The open connection of a device.
    pub fn session_of(&self, device: &DeviceKey) -> Option<Arc<SessionInfo>> {
        self.broker().session_of(device)
    }

    /// The open connections on which a user is logged in.
    pub fn sessions_of(&self, app: &AppKey, user: &Username) -> Vec<Arc<SessionInfo>> {
        self.broker().sessions_of(app, user)
    }

    /// The open connections of an app whose id is above `after`, in the order of their ids, at most
    /// `limit`. Fewer than `limit` are the last. Each call looks at every connection.
    pub fn sessions_in(
        &self,
        app: &AppKey,
        after: Option<SessionId>,
        limit: usize,
    ) -> Vec<Arc<SessionInfo>> {
        self.broker().sessions_in(app, after, limit)
    }

    /// Subscribes on behalf of an open connection, as if its client had asked; returns the QoS
    /// granted. The limits hold, the access hooks are not asked now. The subscription belongs to
    /// the session: it is kept with it, and at the next login or resume the access hooks decide
    /// about it as about any other. Plain topics alone.
    pub async fn subscribe(
        &self,
        session: SessionId,
        filter: TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<Qos, SubscribeError> {
        self.broker().subscribe(session, filter, options).await
    }

    /// Takes a subscription of an open connection away; false if there was none.
    pub async fn unsubscribe(
        &self,
        session: SessionId,
        filter: &TopicFilter,
    ) -> Result<bool, Gone> {
        self.broker().unsubscribe(session, filter).await
    }

    /// Logs a user in or out on an open connection: raises the login generation, drops what was
    /// queued or in flight for the old one, closes outlets, authorizes every subscription again,
    /// then opens the outlets that are still covered. Returns the new snapshot. If an access hook
    /// faults, no subscription is dropped; the connection ends, and the next one authorizes again.
    pub async fn set_user(
        &self,
        session: SessionId,
        user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone> {
        self.broker().set_user(session, user).await
    }

    /// Says that the answers of the plugin's access hooks have changed, for one app or for all.
    /// Every saved subscription of its sessions, also of those that wait for their client, is
    /// authorized again, and what is now denied goes with the messages that only it brought. What
    /// is subscribed meanwhile is asked by the new rules. MQTT cannot tell the client; it is logged.
    /// If an access hook faults, no subscription is dropped, but an open connection ends.
    ///
    /// Returns when all have been asked, which takes a while where there are many.
    pub async fn access_changed(&self, app: Option<&AppKey>) {
        self.broker().access_changed(app).await;
    }

    /// Ends a connection. Returns at once; false if it was gone already.
    pub fn kick(&self, session: SessionId, how: Kick) -> bool {
        self.broker().kick(session, how)
    }

    /// Ends every connection of an app; its sessions, retained messages and queues are dropped.
    pub fn drop_app(&self, app: &AppKey) {
        self.broker().drop_app(app);
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
    /// It answers a message that answers a message, and so on, [`MAX_HOPS`] times.
    #[error("the message is an answer to an answer too many times over")]
    TooManyHops,
}

/// Why a plugin could not subscribe on behalf of a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection no longer exists.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// Under `$` there are outlets, which a client subscribes to by itself.
    #[error("topics that begin with $ are not routed")]
    ReservedTopic,
    /// The session has as many subscriptions as it may.
    #[error("the session's limit of subscriptions is reached")]
    TooMany,
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

/// What the broker does for plugins, as [`BrokerHandle`] says. All of it is safe to call from any
/// task.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// [`BrokerHandle::publish`].
    async fn publish(&self, app: &AppKey, message: Message) -> Result<(), PublishError>;

    /// [`BrokerHandle::retain`].
    async fn retain(&self, app: &AppKey, message: Message) -> Result<(), PublishError>;

    /// [`BrokerHandle::retained`].
    async fn retained(&self, app: &AppKey, topic: &TopicName) -> Option<Message>;

    /// [`BrokerHandle::deliver`].
    fn deliver(&self, to: SessionHandle, message: Outgoing) -> Delivery;

    /// [`BrokerHandle::deliver_tracked`].
    fn deliver_tracked(&self, to: SessionHandle, message: Outgoing) -> Tracked;

    /// [`BrokerHandle::deliver_each`].
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

    /// [`BrokerHandle::session`].
    fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>>;

    /// [`BrokerHandle::session_of`].
    fn session_of(&self, device: &DeviceKey) -> Option<Arc<SessionInfo>>;

    /// [`BrokerHandle::sessions_of`].
    fn sessions_of(&self, app: &AppKey, user: &Username) -> Vec<Arc<SessionInfo>>;

    /// [`BrokerHandle::sessions_in`].
    fn sessions_in(
        &self,
        app: &AppKey,
        after: Option<SessionId>,
        limit: usize,
    ) -> Vec<Arc<SessionInfo>>;

    /// [`BrokerHandle::subscribe`].
    async fn subscribe(
        &self,
        session: SessionId,
        filter: TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<Qos, SubscribeError>;

    /// [`BrokerHandle::unsubscribe`].
    async fn unsubscribe(&self, session: SessionId, filter: &TopicFilter) -> Result<bool, Gone>;

    /// [`BrokerHandle::set_user`].
    async fn set_user(
        &self,
        session: SessionId,
        user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone>;

    /// [`BrokerHandle::access_changed`].
    async fn access_changed(&self, app: Option<&AppKey>);

    /// [`BrokerHandle::kick`].
    fn kick(&self, session: SessionId, how: Kick) -> bool;

    /// [`BrokerHandle::drop_app`].
    fn drop_app(&self, app: &AppKey);
}
