//! A broker that records what plugins ask of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use partyline_plugin::host::Broker;
use partyline_plugin::protocol::{AppKey, TopicFilter, TopicName, Username};
use partyline_plugin::{
    Delivery, DeviceKey, Gone, Kick, Message, Outgoing, PublishError, Qos, SessionHandle,
    SessionId, SessionInfo, SubscribeError, SubscriptionOptions, Tracked, TrackedOutcome,
    UserLogin, async_trait,
};
use tokio::sync::oneshot;

/// Keeps sessions and retained messages, and remembers what was published, delivered and ended.
/// Nothing is routed, and no limit is reached.
#[derive(Debug, Default)]
pub struct FakeBroker(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    sessions: BTreeMap<SessionId, Arc<SessionInfo>>,
    subscriptions: BTreeMap<(SessionId, TopicFilter), SubscriptionOptions>,
    retained: BTreeMap<(String, TopicName), Message>,
    published: Vec<(AppKey, Message)>,
    delivered: Vec<(SessionHandle, Outgoing)>,
    tracked: Vec<TrackedDelivery>,
    /// Tracked deliveries, also those that the test has taken; what it let go has no sender.
    waiting: Vec<(SessionHandle, Weak<Ending>)>,
    kicked: Vec<(SessionId, Kick)>,
    dropped_apps: Vec<AppKey>,
    access_changed: Vec<Option<AppKey>>,
}

/// Says how a tracked delivery ended, once.
type Ending = Mutex<Option<oneshot::Sender<TrackedOutcome>>>;

/// A tracked delivery whose end the test decides, unless its session's end or a login comes first. One
/// that is let go reads as gone.
#[derive(Debug)]
pub struct TrackedDelivery {
    /// Whom it is for.
    pub to: SessionHandle,
    /// The message.
    pub message: Outgoing,
    end: Arc<Ending>,
}

impl TrackedDelivery {
    /// Says how it ended.
    pub fn end(self, outcome: TrackedOutcome) {
        if let Some(end) = self.end.lock().take() {
            // The plugin may not wait for it.
            let _ = end.send(outcome);
        }
    }
}

impl FakeBroker {
    /// Opens a connection of a device of [`TEST_APP`](crate::TEST_APP), nobody logged in.
    pub fn connect(&self, client_id: &str) -> Arc<SessionInfo> {
        self.connect_as(|id| super::session(id, client_id))
    }

    /// Opens a connection as the test makes it. One of the same device is taken over.
    pub fn connect_as(&self, session: impl FnOnce(SessionId) -> SessionInfo) -> Arc<SessionInfo> {
        let mut inner = self.0.lock();
        inner.last_id += 1;
        let session = Arc::new(session(SessionId::new(inner.last_id)));
        let mut taken_over = inner.sessions.values();
        let taken_over = taken_over.find(|other| other.device == session.device);
        if let Some(id) = taken_over.map(|other| other.id) {
            inner.end(id);
        }
        inner.sessions.insert(session.id, Arc::clone(&session));
        session
    }

    /// Ends a connection.
    pub fn disconnect(&self, session: SessionId) {
        self.0.lock().end(session);
    }

    /// What was published since the last look.
    pub fn published(&self) -> Vec<(AppKey, Message)> {
        std::mem::take(&mut self.0.lock().published)
    }

    /// What was delivered untracked since the last look.
    pub fn delivered(&self) -> Vec<(SessionHandle, Outgoing)> {
        std::mem::take(&mut self.0.lock().delivered)
    }

    /// What was delivered tracked since the last look.
    pub fn tracked(&self) -> Vec<TrackedDelivery> {
        std::mem::take(&mut self.0.lock().tracked)
    }

    /// Who was kicked since the last look.
    pub fn kicked(&self) -> Vec<(SessionId, Kick)> {
        std::mem::take(&mut self.0.lock().kicked)
    }

    /// The apps that were dropped since the last look.
    pub fn dropped_apps(&self) -> Vec<AppKey> {
        std::mem::take(&mut self.0.lock().dropped_apps)
    }

    /// The apps whose access rules were said to have changed since the last look; `None` = all.
    pub fn access_changed(&self) -> Vec<Option<AppKey>> {
        std::mem::take(&mut self.0.lock().access_changed)
    }

    /// What plugins subscribed to on behalf of a session.
    pub fn subscriptions(&self, session: SessionId) -> Vec<(TopicFilter, SubscriptionOptions)> {
        let inner = self.0.lock();
        let of_session = inner
            .subscriptions
            .iter()
            .filter(|((id, _), _)| *id == session);
        of_session
            .map(|((_, filter), options)| (filter.clone(), *options))
            .collect()
    }
}

impl Inner {
    fn end(&mut self, session: SessionId) -> bool {
        self.subscriptions.retain(|(id, _), _| *id != session);
        self.let_go(session);
        self.sessions.remove(&session).is_some()
    }

    /// Ends the tracked deliveries of a session, as the broker does.
    fn let_go(&mut self, session: SessionId) {
        for (_, ending) in self.waiting.extract_if(.., |(to, _)| to.id == session) {
            if let Some(ending) = ending.upgrade() {
                ending.lock().take();
            }
        }
    }

    fn retain(&mut self, app: &AppKey, message: Message) {
        let key = (app.to_string(), message.topic.clone());
        if message.payload.is_empty() {
            self.retained.remove(&key);
        } else {
            self.retained.insert(key, message);
        }
    }

    fn has(&self, to: SessionHandle) -> bool {
        let session = self.sessions.get(&to.id);
        session.is_some_and(|session| session.login == to.login)
    }
}

#[async_trait]
impl Broker for FakeBroker {
    async fn publish(&self, app: &AppKey, message: Message) -> Result<(), PublishError> {
        if message.topic.is_reserved() {
            return Err(PublishError::ReservedTopic);
        }
        let mut inner = self.0.lock();
        if message.retain {
            inner.retain(app, message.clone());
        }
        inner.published.push((app.clone(), message));
        Ok(())
    }

    async fn retain(&self, app: &AppKey, message: Message) -> Result<(), PublishError> {
        if message.topic.is_reserved() {
            return Err(PublishError::ReservedTopic);
        }
        self.0.lock().retain(app, message);
        Ok(())
    }

    async fn retained(&self, app: &AppKey, topic: &TopicName) -> Option<Message> {
        let key = (app.to_string(), topic.clone());
        self.0.lock().retained.get(&key).cloned()
    }

    fn deliver(&self, to: SessionHandle, message: Outgoing) -> Delivery {
        let mut inner = self.0.lock();
        if !inner.has(to) {
            return Delivery::Gone;
        }
        inner.delivered.push((to, message));
        Delivery::Queued
    }

    fn deliver_tracked(&self, to: SessionHandle, message: Outgoing) -> Tracked {
        let (end, tracked) = Tracked::new();
        let mut inner = self.0.lock();
        if inner.has(to) {
            let end = Arc::new(Mutex::new(Some(end)));
            inner
                .waiting
                .retain(|(_, ending)| ending.strong_count() > 0);
            inner.waiting.push((to, Arc::downgrade(&end)));
            inner.tracked.push(TrackedDelivery { to, message, end });
        }
        tracked
    }

    fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>> {
        self.0.lock().sessions.get(&id).cloned()
    }

    fn session_of(&self, device: &DeviceKey) -> Option<Arc<SessionInfo>> {
        let inner = self.0.lock();
        let mut sessions = inner.sessions.values();
        sessions.find(|session| session.device == *device).cloned()
    }

    fn sessions_of(&self, app: &AppKey, user: &Username) -> Vec<Arc<SessionInfo>> {
        let of_user = |session: &&Arc<SessionInfo>| {
            session.app() == app && session.principal.username() == Some(user)
        };
        let inner = self.0.lock();
        inner.sessions.values().filter(of_user).cloned().collect()
    }

    fn sessions_in(
        &self,
        app: &AppKey,
        after: Option<SessionId>,
        limit: usize,
    ) -> Vec<Arc<SessionInfo>> {
        let inner = self.0.lock();
        let sessions = inner.sessions.values().filter(|one| one.app() == app);
        let later = sessions.filter(|one| after.is_none_or(|after| one.id > after));
        later.take(limit).cloned().collect()
    }

    async fn subscribe(
        &self,
        session: SessionId,
        filter: TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<Qos, SubscribeError> {
        if filter.as_str().starts_with('$') {
            return Err(SubscribeError::ReservedTopic);
        }
        let mut inner = self.0.lock();
        if !inner.sessions.contains_key(&session) {
            return Err(Gone.into());
        }
        inner.subscriptions.insert((session, filter), options);
        Ok(options.qos)
    }

    async fn unsubscribe(&self, session: SessionId, filter: &TopicFilter) -> Result<bool, Gone> {
        let mut inner = self.0.lock();
        if !inner.sessions.contains_key(&session) {
            return Err(Gone);
        }
        let key = (session, filter.clone());
        Ok(inner.subscriptions.remove(&key).is_some())
    }

    async fn set_user(
        &self,
        session: SessionId,
        user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone> {
        let mut inner = self.0.lock();
        if !inner.sessions.contains_key(&session) {
            return Err(Gone);
        }
        inner.let_go(session);
        let entry = inner.sessions.get_mut(&session).ok_or(Gone)?;
        let mut changed = SessionInfo::clone(entry);
        changed.login += 1;
        changed.principal.user = user;
        *entry = Arc::new(changed);
        Ok(Arc::clone(entry))
    }

    async fn access_changed(&self, app: Option<&AppKey>) {
        self.0.lock().access_changed.push(app.cloned());
    }

    fn kick(&self, session: SessionId, how: Kick) -> bool {
        let mut inner = self.0.lock();
        let open = inner.end(session);
        if open {
            inner.kicked.push((session, how));
        }
        open
    }

    fn drop_app(&self, app: &AppKey) {
        let mut inner = self.0.lock();
        let gone: Vec<SessionId> = inner
            .sessions
            .values()
            .filter(|session| session.app() == app)
            .map(|session| session.id)
            .collect();
        for session in gone {
            inner.end(session);
        }
        inner.retained.retain(|(of, _), _| *of != app.as_str());
        inner.dropped_apps.push(app.clone());
    }

    fn apps(&self) -> Vec<AppKey> {
        let inner = self.0.lock();
        let of_sessions = inner.sessions.values().map(|session| session.app().clone());
        let retained = inner.retained.keys();
        let of_retained = retained.filter_map(|(app, _)| AppKey::parse(app.as_str()).ok());
        let mut apps: Vec<AppKey> = of_sessions.chain(of_retained).collect();
        apps.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        apps.dedup();
        apps
    }
}
