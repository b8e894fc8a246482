//! Asking again whether what was granted still is.

use std::sync::Arc;

use partyline_plugin::protocol::{AppKey, TopicFilter};
use partyline_plugin::{AccessVerdict, Qos, Reason, SessionInfo};

use crate::connection::Refused;
use crate::kernel::Kernel;
use crate::plugins::Faulted;
use crate::session::{Session, Stop};

/// Sessions that are asked about before others get their turn.
const AT_ONCE: usize = 64;

impl Kernel {
    /// Asks the access hooks about every saved subscription and the will again, and drops those now
    /// denied, subscriptions with the messages that only they brought. If a hook cannot decide,
    /// nothing is dropped: then the connection must not go on, and the next one asks again.
    pub(crate) async fn authorize_again(
        &self,
        session: &Arc<Session>,
        info: &SessionInfo,
    ) -> Result<(), Faulted> {
        loop {
            let access = self.access();
            let denied = self.denied_subscriptions(session, info).await?;
            let will_denied = self.will_is_denied(session, info).await?;
            if denied.is_empty() && !will_denied {
                return Ok(());
            }
            // What goes to others of a group goes in the transaction in which it leaves this one.
            let _together = self.journal.together();
            let mut state = session.state();
            // Who took over, or another login that came meanwhile, asks for itself.
            if !state.is_of(info) {
                return Ok(());
            }
            if self.access() != access {
                // What was denied a moment ago may be allowed, and granted anew, by now.
                continue;
            }
            if will_denied && state.will.take().is_some() {
                tracing::info!(session.device = %session.key, "a will is no longer allowed");
                session.save(&state);
            }
            for (filter, reason) in denied {
                // The client may have unsubscribed meanwhile.
                if state.subscriptions.remove(&filter).is_none() {
                    continue;
                }
                tracing::info!(session.device = %session.key, filter = filter.as_str(), %reason,
                    "a subscription is no longer allowed");
                if let Some(rows) = state.outbound.rows() {
                    rows.unsubscribe(&filter);
                }
                session.space.unsubscribe(&filter, session);
                self.events.unsubscribed(info, &filter);
            }
            let orphans = state.keep_granted();
            drop(state);
            session.space.dispatch_again(orphans);
            return Ok(());
        }
    }

    async fn denied_subscriptions(
        &self,
        session: &Session,
        info: &SessionInfo,
    ) -> Result<Vec<(TopicFilter, Reason)>, Faulted> {
        let saved: Vec<(TopicFilter, Qos)> = {
            let state = session.state();
            let saved = state.subscriptions.iter();
            saved
                .map(|(filter, one)| (filter.clone(), one.qos))
                .collect()
        };
        let hooks = self.hooks.load_full();
        let mut denied = Vec::new();
        for (filter, qos) in saved {
            tokio::task::consume_budget().await;
            match hooks.may_subscribe(info, &filter, qos).await {
                Ok(()) => {}
                Err(Refused::Undecided) => return Err(Faulted),
                Err(Refused::Denied(reason)) => denied.push((filter, reason)),
            }
        }
        Ok(denied)
    }

    /// Asks about the will as it was left by the filters: what it was before them is not kept.
    async fn will_is_denied(&self, session: &Session, info: &SessionInfo) -> Result<bool, Faulted> {
        let message = {
            let state = session.state();
            state.will.as_ref().map(|will| will.message.clone())
        };
        let Some(message) = message else {
            return Ok(false);
        };
        let hooks = self.hooks.load_full();
        let verdict = hooks.ask_publish(info, &message).await?;
        Ok(verdict != AccessVerdict::Allow)
    }

    /// Authorizes again what the sessions of an app, or all, have subscribed to, and their wills.
    ///
    /// A session that comes meanwhile asks when it resumes; a SUBSCRIBE that was decided before is
    /// either saved by now, or sees that it has to ask anew.
    pub(crate) async fn access_changed(&self, app: Option<&AppKey>) {
        self.ask_access_anew();
        for (number, session) in self.registry.sessions(app).iter().enumerate() {
            if number % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            let (info, attachment) = {
                let state = session.state();
                let has_any = !state.subscriptions.is_empty() || state.will.is_some();
                (state.whose().filter(|_| has_any), state.attachment.clone())
            };
            // Nobody knows who comes for a session that was found on disk; it asks when it resumes.
            let Some(info) = info else {
                continue;
            };
            let asked = self.authorize_again(session, &info).await;
            if asked.is_err()
                && let Some(attachment) = attachment
            {
                let message = "the subscriptions cannot be checked now".to_owned();
                let stop = Stop::new(Reason::ServerBusy, Some(message));
                attachment.signal.stop(stop);
            }
        }
    }
}
