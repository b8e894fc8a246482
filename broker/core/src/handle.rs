//! The broker as plugins see it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use partyline_plugin::host::Broker;
use partyline_plugin::protocol::{AppKey, TopicFilter, TopicName, Username};
use partyline_plugin::{
    Delivery, DeviceKey, Gone, Kick, Message, Outgoing, ProtocolVersion, PublishError, Qos, Reason,
    SessionHandle, SessionId, SessionInfo, SubscribeError, SubscriptionOptions, Tracked,
    TrackedOutcome, UserLogin,
};

use crate::codec::{Frame, encode_publish};
use crate::connection::covered_outlets;
use crate::kernel::Kernel;
use crate::packet::SubscribeOptions;
use crate::router::Unrouted;
use crate::session::{Attachment, Enqueued, Guarantee, Stop};

impl Kernel {
    /// Queues a delivery if the session is still at that login.
    fn enqueue(&self, to: SessionHandle, message: Outgoing, guarantee: Guarantee) -> Delivery {
        let Some((session, attachment)) = self.registry.connection(to.id) else {
            return Delivery::Gone;
        };
        let v5 = attachment.info.load().version == ProtocolVersion::V5;
        let listening = attachment.listening.lock();
        let matched = listening.matched(message.topic.as_str());
        drop(listening);
        let Some(frame) = frame_of(v5, message, guarantee.has_id()) else {
            guarantee.end(TrackedOutcome::TooLarge);
            return Delivery::Full;
        };
        let mut state = session.state();
        let current = state.attachment.as_ref().is_some_and(|one| one.id == to.id)
            && attachment.info.load().login == to.login;
        if !current {
            return Delivery::Gone;
        }
        let drops = state.outbound.drops();
        let queued = state
            .outbound
            .deliver(&self.config.limits, frame, matched, guarantee);
        session
            .space
            .traffic
            .add_drops(drops, state.outbound.drops());
        drop(state);
        attachment.signal.wake();
        match queued {
            Enqueued::Waiting => Delivery::Queued,
            Enqueued::Full => Delivery::Full,
        }
    }
}

fn frame_of(v5: bool, message: Outgoing, with_id: bool) -> Option<Frame> {
    let topic = message.topic.as_str();
    encode_publish(v5, topic, message.payload, with_id, None, None)
}

#[async_trait]
impl Broker for Kernel {
    async fn publish(&self, app: &AppKey, message: Message) -> Result<(), PublishError> {
        if self.stopping.is_cancelled() {
            return Err(PublishError::Stopping);
        }
        Kernel::publish(self, app, message).await
    }

    async fn retain(&self, app: &AppKey, mut message: Message) -> Result<(), PublishError> {
        if self.stopping.is_cancelled() {
            return Err(PublishError::Stopping);
        }
        if message.topic.as_str().starts_with('$') {
            return Err(PublishError::ReservedTopic);
        }
        // What is kept for long must not pin a larger buffer of the plugin.
        message.payload = Bytes::copy_from_slice(&message.payload);
        let Some(space) = self.space_to_publish(app, true) else {
            return Ok(());
        };
        let ticket = space.retain(message).map_err(|unrouted| match unrouted {
            Unrouted::Retained(_) => PublishError::RetainedFull,
            Unrouted::Busy => PublishError::Busy,
        })?;
        self.journal.committed(ticket).await;
        Ok(())
    }

    async fn retained(&self, app: &AppKey, topic: &TopicName) -> Option<Message> {
        let publication = self
            .space_to_publish(app, false)?
            .retained
            .of_topic(topic)?;
        Some(publication.message.clone())
    }

    fn deliver(&self, to: SessionHandle, message: Outgoing) -> Delivery {
        let guarantee = match message.qos {
            Qos::AtMostOnce => Guarantee::AtMostOnce,
            Qos::AtLeastOnce | Qos::ExactlyOnce => Guarantee::AtLeastOnce,
        };
        self.enqueue(to, message, guarantee)
    }

    fn deliver_tracked(&self, to: SessionHandle, message: Outgoing) -> Tracked {
        let (sender, tracked) = Tracked::new();
        // The outcome says how it ended, also where it was not queued.
        let _ = self.enqueue(to, message, Guarantee::Tracked(sender));
        tracked
    }

    fn session(&self, id: SessionId) -> Option<Arc<SessionInfo>> {
        self.registry
            .connection(id)
            .map(|(_, attachment)| attachment.info())
    }

    fn session_of(&self, device: &DeviceKey) -> Option<Arc<SessionInfo>> {
        self.registry
            .of_device(device)
            .map(|attachment| attachment.info())
    }

    fn sessions_of(&self, app: &AppKey, user: &Username) -> Vec<Arc<SessionInfo>> {
        self.registry
            .of_user(app, user)
            .iter()
            .map(|attachment| attachment.info())
            .collect()
    }

    fn sessions_in(
        &self,
        app: &AppKey,
        after: Option<SessionId>,
        limit: usize,
    ) -> Vec<Arc<SessionInfo>> {
        let found = self.registry.of_app(app, after, limit);
        found.iter().map(|attachment| attachment.info()).collect()
    }

    async fn subscribe(
        &self,
        id: SessionId,
        filter: TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<Qos, SubscribeError> {
        if filter.as_str().starts_with('$') {
            return Err(SubscribeError::ReservedTopic);
        }
        let (session, attachment) = self.registry.connection(id).ok_or(Gone)?;
        let options = SubscribeOptions::asked(options);
        let (changed, ticket) = {
            let mut state = session.held_by(id).ok_or(Gone)?;
            let before = state.subscriptions.get(&filter).copied();
            let is_new = before.is_none();
            if is_new && state.subscriptions.len() >= self.config.limits.subscriptions {
                return Err(SubscribeError::TooMany);
            }
            let ticket = session.subscribe(&mut state, filter.clone(), options);
            (before != Some(options), ticket)
        };
        if let Some(ticket) = ticket {
            self.journal.committed(ticket).await;
        }
        // A plugin that subscribes whoever subscribed would hear itself for ever.
        if changed {
            self.events.subscribed(&attachment, &filter, options.qos);
        }
        attachment.signal.wake();
        Ok(options.qos)
    }

    async fn unsubscribe(&self, id: SessionId, filter: &TopicFilter) -> Result<bool, Gone> {
        let (session, attachment) = self.registry.connection(id).ok_or(Gone)?;
        let (existed, ticket) = {
            let mut state = session.held_by(id).ok_or(Gone)?;
            session.unsubscribe(&mut state, filter)
        };
        if let Some(ticket) = ticket {
            self.journal.committed(ticket).await;
        }
        if existed {
            self.events.unsubscribed(&attachment.info(), filter);
        }
        Ok(existed)
    }

    async fn set_user(
        &self,
        id: SessionId,
        user: Option<UserLogin>,
    ) -> Result<Arc<SessionInfo>, Gone> {
        let (session, attachment) = self.registry.connection(id).ok_or(Gone)?;
        let old = attachment.info();
        let hooks = self.hooks.load_full();
        let info = {
            // Under the session's lock, which every delivery takes: the old login's handle is
            // refused from here on, and nothing for the new one is dropped with what it had queued.
            let mut state = session.state();
            let info = self.registry.change_user(&attachment, user).ok_or(Gone)?;
            state.outbound.drop_deliveries();
            info
        };
        let open = std::mem::take(&mut attachment.listening.lock().open);
        hooks.close_outlets(&old, &open).await;
        if self.authorize_again(&session, &info).await.is_err() {
            let message = "the subscriptions cannot be checked now".to_owned();
            let stop = Stop::new(Reason::ServerBusy, Some(message));
            attachment.signal.stop(stop);
            return Err(Gone);
        }
        let covered = covered_outlets(&hooks, &attachment);
        hooks.open_outlets(&attachment, &info, &covered).await;
        attachment.signal.wake();
        Ok(info)
    }

    async fn access_changed(&self, app: Option<&AppKey>) {
        Kernel::access_changed(self, app).await;
    }

    fn kick(&self, id: SessionId, how: Kick) -> bool {
        let Some((_, attachment)) = self.registry.connection(id) else {
            return false;
        };
        stop(&attachment, how);
        true
    }

    fn drop_app(&self, app: &AppKey) {
        Kernel::drop_app(self, app);
    }

    fn apps(&self) -> Vec<AppKey> {
        Kernel::apps(self)
    }
}

fn stop(attachment: &Attachment, how: Kick) {
    let mut stop = Stop::new(how.reason, how.message);
    stop.notice = how.notice.and_then(|notice| frame_of(false, notice, false));
    attachment.signal.stop(stop);
}
