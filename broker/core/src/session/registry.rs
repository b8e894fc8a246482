//! Every session of this broker, by device, by connection and by user.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::{DashMap, Entry};
use partyline_plugin::protocol::{AppKey, Username};
use partyline_plugin::{CloseReason, DeviceKey, Reason, SessionId, SessionInfo, UserLogin};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::state::{Detached, State};
use super::{Attachment, Commands, Owed, Previous, Session, Stop, WillMessage};
use crate::router::AppSpace;
use crate::store::Ticket;

type UserKey = (AppKey, Username);

#[derive(Debug, Default)]
pub(crate) struct Registry {
    devices: DashMap<DeviceKey, Arc<Session>>,
    connections: DashMap<SessionId, (Arc<Session>, Arc<Attachment>)>,
    users: DashMap<UserKey, SmallVec<[SessionId; 2]>>,
    /// Of devices without a session. Swept as soon as they do not matter any more.
    commands: DashMap<DeviceKey, Arc<Commands>>,
}

/// What a new connection found.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) session: Arc<Session>,
    /// What was before, if saved state was there.
    pub(crate) previous: Option<Previous>,
    /// The will of the connection that was taken over, now due.
    pub(crate) will: Option<WillMessage>,
    /// A stored session is gone for this one once this is on disk: before, it could come back.
    pub(crate) gone: Option<Ticket>,
}

/// Gives a fresh session to its connection.
fn begin(session: &Arc<Session>, give: impl FnOnce(&Arc<Session>, &mut State, bool) -> Previous) {
    let mut state = session.state();
    give(session, &mut state, false);
    if state.expiry_secs > 0 {
        session.begin_to_store(&mut state);
    }
}

/// How a connection left.
#[derive(Debug)]
pub(crate) struct Detach {
    pub(crate) publish_will: bool,
    /// A Session Expiry Interval of the DISCONNECT.
    pub(crate) expiry_secs: Option<u32>,
    /// What observers are told.
    pub(crate) reason: CloseReason,
}

impl Registry {
    /// Joins a connection to the session of its device, taking over from another connection.
    pub(crate) fn attach(
        &self,
        attachment: &Arc<Attachment>,
        space: &Arc<AppSpace>,
        clean_start: bool,
        expiry_secs: u32,
        will: Option<WillMessage>,
    ) -> Attached {
        let info = attachment.info();
        let (key, registration) = (&info.device, &info.principal.registration);
        let give = |session: &Arc<Session>, state: &mut State, present| {
            self.index(session, attachment);
            session.tell_opened(attachment, present);
            state.attach(attachment, expiry_secs, will)
        };
        let fresh = |commands| {
            let (key, registration) = (key.clone(), registration.clone());
            Arc::new(Session::new(key, registration, Arc::clone(space), commands))
        };
        let mut closing = None;
        let (session, previous, old_will) = match self.devices.entry(key.clone()) {
            Entry::Vacant(entry) => {
                let commands = self.commands.remove(key).map(|(_, commands)| commands);
                let session = fresh(commands.unwrap_or_default());
                begin(&session, give);
                entry.insert(Arc::clone(&session));
                session.space.census.session_came();
                (session, None, None)
            }
            Entry::Occupied(mut entry) => {
                let old = Arc::clone(entry.get());
                let mut state = old.state();
                // Without an expiry, a session ends with its connection, which ends now. A device
                // that was forgotten leaves nothing to the next one of its name.
                let goes_on = !clean_start
                    && !state.ended
                    && state.expiry_secs > 0
                    && old.registration == *registration;
                old.tell_taken_over(&state, goes_on);
                let old_will = self.take_over(&mut state, goes_on);
                if goes_on {
                    let previous = give(&old, &mut state, true);
                    // Its groups may have stopped to ask it.
                    for filter in state.subscriptions.keys() {
                        old.space.wake(filter, &old);
                    }
                    drop(state);
                    (old, Some(previous), old_will)
                } else {
                    state.ended = true;
                    drop(state);
                    let session = fresh(Arc::clone(&old.commands));
                    begin(&session, give);
                    entry.insert(Arc::clone(&session));
                    old.space.census.session_went();
                    session.space.census.session_came();
                    closing = Some(old);
                    (session, None, old_will)
                }
            }
        };
        // Many subscriptions take their time, in which other devices must not wait.
        let gone = closing.and_then(|old| old.close());
        Attached {
            session,
            previous,
            will: old_will,
            gone,
        }
    }

    /// Stores that a connection took the session up, when nothing can refuse it any more. The ticket
    /// is of what must be on disk before the client is told: a will that is not due any more, or the
    /// end of what was stored.
    pub(crate) fn admitted(session: &Session, id: SessionId, waited: bool) -> Option<Ticket> {
        let mut state = session.held_by(id)?;
        if state.expiry_secs == 0 {
            return state.outbound.forget_rows();
        }
        session.save(&state).filter(|_| waited)
    }

    /// Parts a connection that is refused from the session that it took up, which is as before: it
    /// waits for its client, or ends if the app has no place for one more or its end was stored
    /// already. Returns a will that is due then.
    pub(crate) fn put_back(
        &self,
        session: &Arc<Session>,
        id: SessionId,
        previous: Previous,
    ) -> Option<WillMessage> {
        let mut state = session.state();
        let attachment = state.attachment.take_if(|attachment| attachment.id == id)?;
        self.unindex(&attachment);
        state.outbound.detach();
        state.put_back(previous, &session.space);
        let over = state.place.is_none() || state.outbound.rows().is_none();
        state.ended = over;
        let reason = CloseReason::Ended(Reason::ServerUnavailable);
        session.tell_closed(&attachment, reason, !over);
        if !over {
            session.save(&state);
            return None;
        }
        let due = state.will.take();
        drop(state);
        self.remove(session);
        due
    }

    /// Takes up a session that was read from the store.
    pub(crate) fn restore(&self, session: Arc<Session>) {
        session.space.census.session_came();
        let twin = self.devices.insert(session.key.clone(), session);
        if let Some(twin) = twin {
            twin.space.census.session_went();
            // It cannot be; but then it must not come back for ever.
            tracing::error!(session.device = %twin.key, "a session was stored twice");
            twin.close();
        }
    }

    /// Makes a connection known. Called under its session's lock before the session has it, so
    /// that whoever takes it from the session finds what there is to forget.
    fn index(&self, session: &Arc<Session>, attachment: &Arc<Attachment>) {
        let info = attachment.info.load();
        let connection = (Arc::clone(session), Arc::clone(attachment));
        self.connections.insert(attachment.id, connection);
        session.space.census.connection_came();
        if let Some(user) = info.principal.username() {
            self.index_user(attachment.id, &info.device.app, user);
        }
    }

    /// Ends the open connection of a session in favour of a new one. Its will is due unless its
    /// delay lets the session go on (MQTT 5 §3.1.3.2.2).
    fn take_over(&self, state: &mut State, goes_on: bool) -> Option<WillMessage> {
        if let Some(old) = state.attachment.take() {
            self.unindex(&old);
            // Its it is again if the new one is refused.
            state.left_by = Some(old.info());
            old.signal.stop(Stop::new(Reason::SessionTakenOver, None));
        }
        state.outbound.detach();
        state.will.take_if(|will| !goes_on || will.delay_secs == 0)
    }

    /// Parts a connection from its session, if it still has it. Returns a will that is due now.
    pub(crate) fn detach(
        &self,
        session: &Arc<Session>,
        id: SessionId,
        how: &Detach,
        max_expiry_secs: u32,
    ) -> Option<WillMessage> {
        let mut state = session.state();
        let attachment = state.attachment.take_if(|attachment| attachment.id == id)?;
        self.unindex(&attachment);
        state.outbound.detach();
        state.detached = Some(Detached::now());
        state.left_by = Some(attachment.info());
        if let Some(expiry_secs) = how.expiry_secs {
            state.expiry_secs = expiry_secs.min(max_expiry_secs);
        }
        if state.expiry_secs > 0 {
            state.place = session.space.place();
            if state.place.is_none() {
                tracing::info!(session.device = %session.key, "no place to wait for its client");
            }
        }
        // Where the app has no place for one more, the session ends as if it had no expiry.
        let over = state.place.is_none();
        // Said under the lock, so that no connection takes it up before it is removed.
        state.ended = over;
        session.tell_closed(&attachment, how.reason, !over);
        if !how.publish_will {
            state.will = None;
        }
        let due = state.will.take_if(|will| over || will.delay_secs == 0);
        if !over {
            session.save(&state);
        }
        drop(state);
        if over {
            self.remove(session);
        }
        due
    }

    /// Ends a session and its connection, if any, without its will.
    pub(crate) fn end(&self, session: &Arc<Session>, stop: Stop) {
        {
            let mut state = session.state();
            session.tell_ended(&state, &stop);
            state.ended = true;
            state.will = None;
            if let Some(attachment) = state.attachment.take() {
                self.unindex(&attachment);
                attachment.signal.stop(stop);
            }
        }
        self.remove(session);
    }

    fn remove(&self, session: &Arc<Session>) {
        if session.commands.matter(Instant::now()) {
            let commands = Arc::clone(&session.commands);
            self.commands.insert(session.key.clone(), commands);
        }
        let removed = self
            .devices
            .remove_if(&session.key, |_, current| Arc::ptr_eq(current, session));
        if removed.is_some() {
            session.space.census.session_went();
        }
        session.close();
    }

    fn unindex(&self, attachment: &Attachment) {
        if let Some((_, (session, _))) = self.connections.remove(&attachment.id) {
            session.space.census.connection_went();
        }
        let info = attachment.info.load();
        if let Some(user) = info.principal.username() {
            self.unindex_user(attachment.id, &info.device.app, user);
        }
    }

    fn index_user(&self, id: SessionId, app: &AppKey, user: &Username) {
        self.users
            .entry((app.clone(), user.clone()))
            .or_default()
            .push(id);
    }

    fn unindex_user(&self, id: SessionId, app: &AppKey, user: &Username) {
        let key = (app.clone(), user.clone());
        if let Some(mut sessions) = self.users.get_mut(&key) {
            sessions.retain(|session| *session != id);
        }
        self.users
            .remove_if(&key, |_, sessions| sessions.is_empty());
    }

    /// Puts another user on a connection and raises its login generation. `None` if it is gone.
    pub(crate) fn change_user(
        &self,
        attachment: &Attachment,
        user: Option<UserLogin>,
    ) -> Option<Arc<SessionInfo>> {
        // Held throughout, so that a connection that ends meanwhile finds the index in order.
        let _open = self.connections.get(&attachment.id)?;
        let old = attachment.info();
        let mut info = (*old).clone();
        info.login = info.login.wrapping_add(1);
        info.principal.user = user;
        let info = Arc::new(info);
        attachment.info.store(Arc::clone(&info));
        if let Some(user) = old.principal.username() {
            self.unindex_user(attachment.id, &old.device.app, user);
        }
        if let Some(user) = info.principal.username() {
            self.index_user(attachment.id, &info.device.app, user);
        }
        Some(info)
    }

    pub(crate) fn connection(&self, id: SessionId) -> Option<(Arc<Session>, Arc<Attachment>)> {
        self.connections.get(&id).map(|entry| entry.clone())
    }

    pub(crate) fn of_device(&self, device: &DeviceKey) -> Option<Arc<Attachment>> {
        self.devices.get(device)?.state().attachment.clone()
    }

    pub(crate) fn of_user(&self, app: &AppKey, user: &Username) -> Vec<Arc<Attachment>> {
        let ids = self
            .users
            .get(&(app.clone(), user.clone()))
            .map(|ids| ids.clone());
        let connections = ids
            .into_iter()
            .flatten()
            .filter_map(|id| self.connection(id));
        connections.map(|(_, attachment)| attachment).collect()
    }

    /// The connections of an app above an id, in the order of their ids.
    pub(crate) fn of_app(
        &self,
        app: &AppKey,
        after: Option<SessionId>,
        limit: usize,
    ) -> Vec<Arc<Attachment>> {
        // Never holds more than it returns, however many there are.
        let mut first: BTreeMap<SessionId, Arc<Attachment>> = BTreeMap::new();
        for entry in &self.connections {
            let (id, (session, attachment)) = entry.pair();
            if session.key.app == *app && after.is_none_or(|after| *id > after) {
                first.insert(*id, Arc::clone(attachment));
                if first.len() > limit {
                    first.pop_last();
                }
            }
        }
        first.into_values().collect()
    }

    pub(crate) fn attachments(&self) -> Vec<Arc<Attachment>> {
        self.connections
            .iter()
            .map(|entry| Arc::clone(&entry.1))
            .collect()
    }

    /// The sessions of one app, or all.
    pub(crate) fn sessions(&self, app: Option<&AppKey>) -> Vec<Arc<Session>> {
        let is_of = |key: &DeviceKey| app.is_none_or(|app| key.app == *app);
        let of_app = self.devices.iter().filter(|entry| is_of(entry.key()));
        of_app.map(|entry| Arc::clone(entry.value())).collect()
    }

    /// The sessions that have a will, due or not.
    pub(crate) fn with_wills(&self) -> Vec<Arc<Session>> {
        let with_will = self.devices.iter();
        with_will
            .filter(|entry| entry.state().will.is_some())
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }

    /// Looks at every session once: ends silent connections, and returns the sessions that have
    /// expired or whose will became due, to be settled.
    pub(crate) fn sweep(&self, now: Instant, now_secs: u32) -> Vec<Arc<Session>> {
        self.commands.retain(|_, commands| commands.matter(now));
        let mut due = Vec::new();
        for entry in &self.devices {
            let state = entry.state();
            if let Some(attachment) = &state.attachment {
                attachment.end_if_silent(now_secs);
                continue;
            }
            let Some(time) = state.detached_for(now) else {
                continue;
            };
            if state.is_over(time) || state.will_is_due(time) {
                due.push(Arc::clone(entry.value()));
            }
        }
        due
    }

    /// Ends a session if its time is over, and returns its will if that is due.
    pub(crate) fn settle(&self, session: &Arc<Session>, now: Instant) -> Option<WillMessage> {
        let will = {
            let mut state = session.state();
            let time = state.detached_for(now).filter(|_| !state.ended)?;
            if !state.is_over(time) {
                if !state.will_is_due(time) {
                    return None;
                }
                let will = state.will.take();
                session.save(&state);
                return will;
            }
            state.ended = true;
            session.tell_expired();
            state.will.take()
        };
        self.remove(session);
        will
    }
}

impl Session {
    /// Takes it out of the router for good, and out of the store if it was there. What others of a
    /// group get instead is stored in the same transaction, if the caller keeps that together.
    fn close(self: &Arc<Self>) -> Option<Ticket> {
        let (filters, orphans, gone) = {
            let mut state = self.state();
            state.ended = true;
            let gone = state.outbound.forget_rows();
            state.outbound.detach();
            let orphans = state.outbound.take_shared(|_| true);
            (state.owed, state.place) = (Owed::default(), None);
            (std::mem::take(&mut state.subscriptions), orphans, gone)
        };
        for filter in filters.keys() {
            self.space.unsubscribe(filter, self);
        }
        if !orphans.is_empty() {
            self.space.dispatch_again(orphans);
        }
        gone
    }
}

impl Attachment {
    fn end_if_silent(&self, now_secs: u32) {
        let silent =
            now_secs.saturating_sub(self.last_seen.load(std::sync::atomic::Ordering::Relaxed));
        if silent > self.keep_alive_limit {
            let message = format!("nothing came for {silent} s");
            self.signal
                .stop(Stop::new(Reason::KeepAliveTimeout, Some(message)));
        }
    }
}

#[cfg(test)]
mod tests;
