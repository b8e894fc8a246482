//! A broker that records what is delivered and lets the test say how it ends.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use partyline_plugin::host::Broker;
use partyline_plugin::{
    Delivery, DeviceKey, Gone, Kick, Message, Outgoing, PublishError, Qos, SessionHandle,
    SessionId, SessionInfo, SubscribeError, SubscriptionOptions, Tracked, TrackedOutcome,
    UserLogin, async_trait,
};
use partyline_protocol::{
    AppKey, InboxBatch, ItemBody, MessageItem, Reason, TopicFilter, TopicName, Username,
};
use tokio::sync::{mpsc, oneshot};

/// A batch on its way to a client.
pub(crate) struct Delivered {
    pub(crate) topic: String,
    pub(crate) bytes: usize,
    pub(crate) batch: InboxBatch,
    end: oneshot::Sender<TrackedOutcome>,
}

impl Delivered {
    /// The client acknowledges it.
    pub(crate) fn ack(self) {
        self.finish(TrackedOutcome::Acked);
    }

    /// The client refuses it.
    pub(crate) fn refuse(self) {
        self.finish(TrackedOutcome::Refused(Reason::UnspecifiedError));
    }

    pub(crate) fn finish(self, outcome: TrackedOutcome) {
        let _ = self.end.send(outcome);
    }

    /// Where it begins and ends.
    pub(crate) fn span(&self) -> (u64, u64) {
        (self.batch.prev.get(), self.batch.seq.get())
    }

    /// Each item's place and text.
    pub(crate) fn texts(&self) -> Vec<(u64, String)> {
        let items = self.batch.items.iter();
        items
            .map(|item| (item.seq.get(), text(&item.body)))
            .collect()
    }

    pub(crate) fn message(&self, index: usize) -> &MessageItem {
        match &self.batch.items[index].body {
            ItemBody::Message(message) => message,
            other => panic!("{other:?} is no message"),
        }
    }
}

/// What an item says.
pub(crate) fn text(body: &ItemBody) -> String {
    match body {
        ItemBody::Message(message) => {
            let body: serde_json::Value = serde_json::from_str(message.msg_body.as_str()).unwrap();
            body["text"].as_str().unwrap_or_default().to_owned()
        }
        other => other.kind().to_owned(),
    }
}

type Wire = mpsc::UnboundedSender<Delivered>;

#[derive(Default)]
pub(crate) struct FakeBroker {
    sessions: Mutex<HashMap<SessionId, (Arc<SessionInfo>, Wire)>>,
}

impl FakeBroker {
    /// A client connects, or its user changes.
    pub(crate) fn connect(&self, session: &Arc<SessionInfo>) -> mpsc::UnboundedReceiver<Delivered> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.sessions
            .lock()
            .insert(session.id, (Arc::clone(session), sender));
        receiver
    }

    /// A client is gone.
    pub(crate) fn disconnect(&self, session: SessionId) {
        self.sessions.lock().remove(&session);
    }
}

#[async_trait]
impl Broker for FakeBroker {
    async fn publish(&self, _app: &AppKey, _message: Message) -> Result<(), PublishError> {
        unreachable!("streams are not routed")
    }

    async fn retain(&self, _: &AppKey, _: Message) -> Result<(), PublishError> {
        unreachable!("nothing is retained")
    }

    async fn retained(&self, _: &AppKey, _: &TopicName) -> Option<Message> {
        unreachable!("nothing is retained")
    }

    fn deliver(&self, _to: SessionHandle, _message: Outgoing) -> Delivery {
        unreachable!("streams are tracked")
    }

    fn deliver_tracked(&self, to: SessionHandle, message: Outgoing) -> Tracked {
        let (end, tracked) = Tracked::new();
        assert_eq!(message.qos, Qos::AtLeastOnce);
        let payload = [message.payload.head, message.payload.body].concat();
        let delivered = Delivered {
            topic: message.topic.as_str().to_owned(),
            bytes: payload.len(),
            batch: serde_json::from_slice(&payload).unwrap(),
            end,
        };
        let sessions = self.sessions.lock();
        if let Some((_, wire)) = sessions
            .get(&to.id)
            .filter(|(info, _)| info.login == to.login)
        {
            // A dropped sender reads as gone, as it does in the broker.
            let _ = wire.send(delivered);
        }
        tracked
    }

    fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>> {
        self.sessions
            .lock()
            .get(&id)
            .map(|(info, _)| Arc::clone(info))
    }

    fn session_of(&self, _device: &DeviceKey) -> Option<Arc<SessionInfo>> {
        None
    }

    fn sessions_of(&self, _app: &AppKey, _user: &Username) -> Vec<Arc<SessionInfo>> {
        Vec::new()
    }

    fn sessions_in(&self, _: &AppKey, _: Option<SessionId>, _: usize) -> Vec<Arc<SessionInfo>> {
        unreachable!("nobody looks at all of them")
    }

    async fn subscribe(
        &self,
        _: SessionId,
        _: TopicFilter,
        _: SubscriptionOptions,
    ) -> Result<Qos, SubscribeError> {
        unreachable!("nothing is subscribed to")
    }

    async fn unsubscribe(&self, _: SessionId, _: &TopicFilter) -> Result<bool, Gone> {
        unreachable!("nothing is subscribed to")
    }

    async fn set_user(
        &self,
        _session: SessionId,
        _user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone> {
        Err(Gone)
    }

    async fn access_changed(&self, _app: Option<&AppKey>) {}

    fn kick(&self, _session: SessionId, _how: Kick) -> bool {
        false
    }

    fn drop_app(&self, _app: &AppKey) {}
}
