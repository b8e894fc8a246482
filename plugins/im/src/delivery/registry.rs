//! Who listens to which stream.

use std::sync::Arc;
use std::time::Duration;

use dashmap::Entry;
use partyline_plugin::{SessionId, SessionInfo};
use partyline_protocol::{AppKey, Configure, Configured, ErrorCode, Member, RequestError, Seq};

use super::{Deliveries, Inbox, Reason};
use crate::item::ReadyItem;

/// How long a SUBACK or a reply waits for a database that does not say where the device begins.
const PATIENCE: Duration = Duration::from_secs(5);

impl Deliveries {
    /// The inbox of a session's present login; made at first, with what an earlier login of the
    /// connection configured. The error is for sessions that have none.
    pub(crate) fn inbox_of(&self, session: &SessionInfo) -> Result<Arc<Inbox>, RequestError> {
        let username = session.principal.username().ok_or(ErrorCode::UserLogout)?;
        let owner = Member {
            appkey: session.app().clone(),
            username: username.clone(),
        };
        let device = session
            .principal
            .registration
            .clone()
            .ok_or(ErrorCode::NoPermission)?;
        let inbox = Arc::new(Inbox::new(session, owner, device));
        let past = match self.inboxes.entry(session.id) {
            Entry::Vacant(free) => {
                free.insert(Arc::clone(&inbox));
                None
            }
            Entry::Occupied(taken) if taken.get().handle.login == session.login => {
                return Ok(Arc::clone(taken.get()));
            }
            // A command of a login that has ended since.
            Entry::Occupied(taken) if taken.get().handle.login > session.login => {
                return Err(ErrorCode::UserLogout.into());
            }
            Entry::Occupied(mut taken) => {
                inbox.configure(taken.get().settings());
                Some(taken.insert(Arc::clone(&inbox)))
            }
        };
        if let Some(past) = past {
            past.end();
            self.leave(&past);
        }
        Ok(inbox)
    }

    /// Starts delivery to a session, or starts it again after a refusal. Returns once the store
    /// says where the device begins: whatever is sent to the user after the SUBACK or the reply
    /// that follows reaches this device, even if another of the user's acknowledges it first.
    /// False if that is not known: the inbox ended meanwhile, or the database said nothing for
    /// five seconds and is still being asked.
    pub(crate) async fn open(self: &Arc<Self>, inbox: &Arc<Inbox>, reason: Reason) -> bool {
        let idle = {
            // On the line before the store is asked: what is committed after that is announced.
            let mut line = self.lines.entry(inbox.owner.clone()).or_default();
            if !line.inboxes.iter().any(|other| Arc::ptr_eq(other, inbox)) {
                line.inboxes.push(Arc::clone(inbox));
            }
            inbox.open(reason)
        };
        if idle {
            self.start(inbox);
        } else if inbox.is_over() {
            self.leave(inbox);
            return false;
        }
        tokio::select! {
            () = inbox.looked_up() => {}
            () = tokio::time::sleep(PATIENCE) => {}
            () = self.tasks.stopping().cancelled() => {}
        }
        inbox.is_known()
    }

    /// A session's subscription went, its user changed, or its connection ended.
    pub(crate) fn close(&self, session: &SessionInfo) {
        let Some(inbox) = self
            .inboxes
            .get(&session.id)
            .map(|found| Arc::clone(&found))
        else {
            return;
        };
        if inbox.handle.login == session.login {
            if self.is_live(&inbox) {
                self.take_back(&inbox, Reason::Subscription);
            } else {
                // Kept in the map for its settings: the next login goes on with them.
                inbox.end();
                self.leave(&inbox);
            }
        }
        self.reap(session.id);
    }

    /// Stops delivery for this reason. Without another one the inbox leaves its line; under the
    /// line's lock, so that whoever opens it at the same time finds it there.
    fn take_back(&self, inbox: &Arc<Inbox>, reason: Reason) {
        let mut is_there = false;
        self.lines.remove_if_mut(&inbox.owner, |_, line| {
            is_there = true;
            if inbox.close(reason) {
                line.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
            }
            line.inboxes.is_empty()
        });
        if !is_there {
            inbox.close(reason);
        }
    }

    /// Whether the connection is there and its user is the same.
    fn is_live(&self, inbox: &Inbox) -> bool {
        let session = self.broker.session(inbox.handle.id);
        session.is_some_and(|session| session.login == inbox.handle.login)
    }

    /// Forgets a session whose connection is gone.
    fn reap(&self, session: SessionId) {
        if self.broker.session(session).is_none()
            && let Some((_, inbox)) = self.inboxes.remove(&session)
        {
            inbox.end();
            self.leave(&inbox);
        }
    }

    /// Forgets every session whose connection is gone. Those that never subscribed to the inbox
    /// go unnoticed otherwise.
    pub(crate) fn reap_all(&self) {
        let sessions: Vec<SessionId> = self.inboxes.iter().map(|entry| *entry.key()).collect();
        for session in sessions {
            self.reap(session);
        }
    }

    /// Changes how a session gets its stream.
    pub(crate) async fn configure(
        self: &Arc<Self>,
        inbox: &Arc<Inbox>,
        change: &Configure,
    ) -> Configured {
        inbox.configure(inbox.settings().with(change));
        match change.deliver {
            Some(true) => {
                self.open(inbox, Reason::Configured).await;
            }
            Some(false) => self.take_back(inbox, Reason::Configured),
            None => {}
        }
        // What was wished for may want another look at the store.
        if inbox.wake() {
            self.start(inbox);
        }
        inbox.settings()
    }

    /// Ends the inboxes of a user who is deleted.
    pub(crate) fn forget_user(&self, user: &Member) {
        self.end_where(|inbox| inbox.owner == *user);
    }

    /// Ends the inboxes of an app that is deleted.
    pub(crate) fn forget_app(&self, app: &AppKey) {
        self.end_where(|inbox| inbox.owner.appkey == *app);
    }

    fn end_where(&self, chosen: impl Fn(&Inbox) -> bool) {
        let ended: Vec<Arc<Inbox>> = self
            .inboxes
            .iter()
            .filter(|inbox| chosen(inbox))
            .map(|inbox| Arc::clone(&inbox))
            .collect();
        for inbox in ended {
            inbox.end();
            self.leave(&inbox);
        }
    }

    /// Tells those who listen to a user's stream what was committed to it: `items`, of which
    /// `head` is the last. They are only written if somebody listens.
    pub(crate) fn announce(
        self: &Arc<Self>,
        user: &Member,
        head: Seq,
        items: impl FnOnce() -> Result<Vec<ReadyItem>, serde_json::Error>,
    ) {
        let Some(mut line) = self.lines.get_mut(user) else {
            return;
        };
        match items() {
            Ok(items) => line.tail.push(items),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "item not encoded");
                line.tail.skip_to(head);
            }
        }
        let idle: Vec<Arc<Inbox>> = line
            .inboxes
            .iter()
            .filter(|inbox| inbox.wake())
            .map(Arc::clone)
            .collect();
        line.forget_if_calm();
        drop(line);
        for inbox in idle {
            self.start(&inbox);
        }
    }

    /// Something may have been committed to a user's stream without an announcement: those who
    /// listen look at the store.
    pub(crate) fn refresh_line(self: &Arc<Self>, user: &Member) {
        let idle: Vec<Arc<Inbox>> = {
            let Some(line) = self.lines.get(user) else {
                return;
            };
            let inboxes = line.inboxes.iter();
            inboxes
                .filter(|inbox| inbox.refresh())
                .map(Arc::clone)
                .collect()
        };
        for inbox in idle {
            self.start(&inbox);
        }
    }

    fn start(self: &Arc<Self>, inbox: &Arc<Inbox>) {
        self.tasks
            .spawn_until_stop(Arc::clone(self).drain(Arc::clone(inbox)));
    }

    /// A task has left a line.
    pub(super) fn calm(&self, user: &Member) {
        if let Some(mut line) = self.lines.get_mut(user) {
            line.forget_if_calm();
        }
    }

    pub(super) fn leave(&self, inbox: &Arc<Inbox>) {
        self.lines.remove_if_mut(&inbox.owner, |_, line| {
            line.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
            line.inboxes.is_empty()
        });
    }
}
