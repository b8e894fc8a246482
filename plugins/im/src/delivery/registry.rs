//! Who listens to which stream.

use std::sync::Arc;

use dashmap::Entry;
use partyline_plugin::{SessionId, SessionInfo};
use partyline_protocol::{AppKey, Configure, Configured, ErrorCode, Member, RequestError, Seq};
use tokio::sync::oneshot;

use super::drain::Begun;
use super::{Deliveries, Inbox};
use crate::item::ReadyItem;

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
    /// says where the device begins, or could not say it: whatever is sent to the user after the
    /// SUBACK or the reply that follows reaches this device, even if another of the user's
    /// acknowledges it first.
    pub(crate) async fn open(self: &Arc<Self>, inbox: &Arc<Inbox>) {
        {
            // On the line before the store is asked: what is committed after that is announced.
            let mut line = self.lines.entry(inbox.owner.clone()).or_default();
            if !line.inboxes.iter().any(|other| Arc::ptr_eq(other, inbox)) {
                line.inboxes.push(Arc::clone(inbox));
            }
        }
        if inbox.open() {
            let (begun, begins) = oneshot::channel();
            self.start(inbox, Some(begun));
            // Dropped, never sent, when the task knows or gives up.
            let _ = begins.await;
        } else if inbox.is_over() {
            self.leave(inbox);
        }
    }

    /// Stops delivery to a session.
    pub(crate) fn close(&self, session: &SessionInfo) {
        let Some(inbox) = self
            .inboxes
            .get(&session.id)
            .map(|found| Arc::clone(&found))
        else {
            return;
        };
        if inbox.handle.login == session.login {
            inbox.close();
            self.leave(&inbox);
        }
        self.reap(session.id);
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
            Some(true) => self.open(inbox).await,
            Some(false) => {
                inbox.close();
                self.leave(inbox);
            }
            None if inbox.settings().deliver => self.open(inbox).await,
            None => {}
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
        drop(line);
        for inbox in idle {
            self.start(&inbox, None);
        }
    }

    fn start(self: &Arc<Self>, inbox: &Arc<Inbox>, begun: Option<Begun>) {
        self.tasks
            .spawn_until_stop(Arc::clone(self).drain(Arc::clone(inbox), begun));
    }

    pub(super) fn leave(&self, inbox: &Arc<Inbox>) {
        self.lines.remove_if_mut(&inbox.owner, |_, line| {
            line.inboxes.retain(|other| !Arc::ptr_eq(other, inbox));
            line.inboxes.is_empty()
        });
    }
}
