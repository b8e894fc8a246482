//! The broker as plugins see it.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::protocol::{AppKey, TopicFilter, Username};
use partyline_plugin::{
    Broker, Delivery, DeviceKey, Gone, Kick, Message, Outgoing, ProtocolVersion, PublishError, Qos,
    Reason, SessionHandle, SessionId, SessionInfo, Tracked, TrackedOutcome, UserLogin,
};

use crate::codec::{Frame, encode_publish};
use crate::connection::{Refused, covered_outlets};
use crate::kernel::Kernel;
use crate::plugins::Faulted;
use crate::session::{Attachment, Enqueued, Guarantee, Session, Stop};

impl Kernel {
    /// Queues a delivery if the session is still at that login.
    fn enqueue(&self, to: SessionHandle, message: Outgoing, guarantee: Guarantee) -> Delivery {
        let Some((session, attachment)) = self.registry.connection(to.id) else {
            return Delivery::Gone;
        };
        let v5 = attachment.info.load().version == ProtocolVersion::V5;
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
            .deliver(&self.config.limits, frame, guarantee);
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

    /// Asks the access hooks about every saved subscription again, and drops those now denied with
    /// the messages that only they brought. If a hook cannot decide, nothing is dropped: then the
    /// connection must not go on, and the next one asks again.
    pub(crate) async fn authorize_again(
        &self,
        session: &Arc<Session>,
        info: &SessionInfo,
    ) -> Result<(), Faulted> {
        let saved: Vec<(TopicFilter, Qos)> = {
            let state = session.state();
            state
                .subscriptions
                .iter()
                .map(|(filter, one)| (filter.clone(), one.qos))
                .collect()
        };
        let hooks = self.hooks.load_full();
        let mut denied = Vec::new();
        for (filter, qos) in saved {
            match hooks.may_subscribe(info, &filter, qos).await {
                Ok(()) => {}
                Err(Refused::Undecided) => return Err(Faulted),
                Err(Refused::Denied(reason)) => {
                    tracing::info!(session.device = %session.key, filter = filter.as_str(), %reason,
                        "a subscription is no longer allowed");
                    denied.push(filter);
                }
            }
        }
        if denied.is_empty() {
            return Ok(());
        }
        let Some(mut state) = session.held_by(info.id) else {
            // Who took over asks for itself.
            return Ok(());
        };
        let login = state.attachment.as_ref().map(|one| one.info.load().login);
        if login != Some(info.login) {
            // Another login came meanwhile, and asks for itself as well.
            return Ok(());
        }
        for filter in denied {
            state.subscriptions.remove(&filter);
            session.space.unsubscribe(&filter, session);
        }
        state.keep_granted();
        Ok(())
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
}

fn stop(attachment: &Attachment, how: Kick) {
    let mut stop = Stop::new(how.reason, how.message);
    stop.notice = how.notice.and_then(|notice| frame_of(false, notice, false));
    attachment.signal.stop(stop);
}
