use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use partyline_plugin::host::Broker;
use partyline_plugin::{
    Admission, ConnectRequest, Delivery, DeviceKey, Gone, Kick, Message, Outgoing, PublishError,
    Qos, SessionHandle, SessionId, SessionInfo, SubscribeError, SubscriptionOptions, Tracked,
    UserLogin, async_trait,
};
use partyline_protocol::{AppKey, TopicFilter, TopicName, Username};
use tokio::sync::RwLock;

/// Keeps sessions and remembers what it was asked to do.
#[derive(Default)]
pub(crate) struct TestBroker {
    inner: Mutex<Inner>,
    /// Whoever holds this for writing holds up changes of users.
    pub(crate) gate: RwLock<()>,
    /// Changes of users begun.
    pub(crate) changing: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    last_id: u64,
    sessions: HashMap<SessionId, Arc<SessionInfo>>,
    kicks: Vec<(SessionId, Kick)>,
    delivered: Vec<(SessionHandle, Outgoing)>,
    dropped: Vec<AppKey>,
}

impl TestBroker {
    /// Opens a session as the broker would; one with the same key is taken over.
    pub(crate) fn open(&self, request: &ConnectRequest, admission: Admission) -> Arc<SessionInfo> {
        let mut inner = self.inner.lock();
        inner.last_id += 1;
        inner
            .sessions
            .retain(|_, session| session.device != admission.device);
        let id = SessionId::new(inner.last_id);
        let session = Arc::new(SessionInfo::new(
            id,
            admission.device,
            admission.principal,
            request.version,
            request.peer,
            None,
        ));
        inner.sessions.insert(id, Arc::clone(&session));
        session
    }

    pub(crate) fn close(&self, session: SessionId) {
        self.inner.lock().sessions.remove(&session);
    }

    pub(crate) fn is_open(&self, session: SessionId) -> bool {
        self.inner.lock().sessions.contains_key(&session)
    }

    /// How the connection was ended, if it was.
    pub(crate) fn kick_of(&self, session: SessionId) -> Option<Kick> {
        let inner = self.inner.lock();
        inner
            .kicks
            .iter()
            .find(|(id, _)| *id == session)
            .map(|(_, kick)| kick.clone())
    }

    /// What was delivered to the session since the last call.
    pub(crate) fn take_delivered(&self, session: SessionId) -> Vec<Outgoing> {
        let mut inner = self.inner.lock();
        let all = std::mem::take(&mut inner.delivered);
        let (here, others) = all
            .into_iter()
            .partition(|(handle, _)| handle.id == session);
        inner.delivered = others;
        Vec::into_iter(here).map(|(_, message)| message).collect()
    }

    pub(crate) fn dropped_apps(&self) -> Vec<AppKey> {
        self.inner.lock().dropped.clone()
    }
}

#[async_trait]
impl Broker for TestBroker {
    async fn publish(&self, _app: &AppKey, _message: Message) -> Result<(), PublishError> {
        Err(PublishError::Stopping)
    }

    async fn retain(&self, _: &AppKey, _: Message) -> Result<(), PublishError> {
        unreachable!("nothing is retained")
    }

    async fn retained(&self, _: &AppKey, _: &TopicName) -> Option<Message> {
        unreachable!("nothing is retained")
    }

    fn deliver(&self, to: SessionHandle, message: Outgoing) -> Delivery {
        let mut inner = self.inner.lock();
        if inner
            .sessions
            .get(&to.id)
            .is_none_or(|session| session.login != to.login)
        {
            return Delivery::Gone;
        }
        inner.delivered.push((to, message));
        Delivery::Queued
    }

    fn deliver_tracked(&self, _to: SessionHandle, _message: Outgoing) -> Tracked {
        Tracked::new().1
    }

    fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>> {
        self.inner.lock().sessions.get(&id).cloned()
    }

    fn session_of(&self, device: &DeviceKey) -> Option<Arc<SessionInfo>> {
        let inner = self.inner.lock();
        inner
            .sessions
            .values()
            .find(|session| session.device == *device)
            .cloned()
    }

    fn sessions_of(&self, app: &AppKey, user: &Username) -> Vec<Arc<SessionInfo>> {
        let inner = self.inner.lock();
        let of_user = |session: &&Arc<SessionInfo>| {
            session.app() == app && session.principal.username() == Some(user)
        };
        inner.sessions.values().filter(of_user).cloned().collect()
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
        session: SessionId,
        user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone> {
        self.changing.fetch_add(1, Ordering::Relaxed);
        let _passed = self.gate.read().await;
        let mut inner = self.inner.lock();
        let entry = inner.sessions.get_mut(&session).ok_or(Gone)?;
        let mut changed = SessionInfo::clone(entry);
        changed.login += 1;
        changed.principal.user = user;
        *entry = Arc::new(changed);
        Ok(Arc::clone(entry))
    }

    async fn access_changed(&self, _app: Option<&AppKey>) {}

    fn kick(&self, session: SessionId, how: Kick) -> bool {
        let mut inner = self.inner.lock();
        let open = inner.sessions.remove(&session).is_some();
        if open {
            inner.kicks.push((session, how));
        }
        open
    }

    fn drop_app(&self, app: &AppKey) {
        let mut inner = self.inner.lock();
        inner.sessions.retain(|_, session| session.app() != app);
        inner.dropped.push(app.clone());
    }
}
