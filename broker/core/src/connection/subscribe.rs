//! SUBSCRIBE and UNSUBSCRIBE.

use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{Qos, Reason};

use super::{Connection, Refused};
use crate::packet::{ProtocolError, RetainHandling, Subscribe, SubscribeOptions, Unsubscribe};

/// What a granted filter leads to, after the SUBACK.
enum Granted {
    Plain {
        filter: TopicFilter,
        options: SubscribeOptions,
        new: bool,
    },
    Outlets(TopicFilter),
}

impl Connection {
    pub(super) async fn on_subscribe(&mut self, subscribe: Subscribe) -> Result<(), ProtocolError> {
        if subscribe.has_subscription_id {
            let reason = Reason::SubscriptionIdentifiersNotSupported;
            return Err(ProtocolError::new(
                reason,
                "subscription identifiers are not available",
            ));
        }
        if subscribe.filters.is_empty() {
            return Err(ProtocolError::new(
                Reason::ProtocolError,
                "SUBSCRIBE without a filter",
            ));
        }
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        for (filter, options) in &subscribe.filters {
            match self.grant(filter, *options).await {
                Ok((qos, what)) => {
                    codes.push(Ok(qos));
                    granted.push(what);
                }
                Err(reason) => codes.push(Err(reason)),
            }
        }
        self.codec
            .suback(subscribe.id, &codes, &mut self.wire.output);
        for what in granted {
            match what {
                Granted::Plain {
                    filter,
                    options,
                    new,
                } => self.send_retained(&filter, options, new),
                Granted::Outlets(filter) => self.open_outlets(&filter).await,
            }
        }
        Ok(())
    }

    async fn grant(
        &mut self,
        filter: &str,
        options: SubscribeOptions,
    ) -> Result<(Qos, Granted), Reason> {
        let limits = self.kernel.config.limits.topic();
        let filter = TopicFilter::parse(filter, &limits).map_err(|_| Reason::TopicFilterInvalid)?;
        if filter.as_str().starts_with("$share/") {
            return Err(Reason::SharedSubscriptionsNotSupported);
        }
        if filter.as_str().starts_with('$') {
            let qos = self.grant_outlets(&filter)?;
            return Ok((qos, Granted::Outlets(filter)));
        }
        let hooks = self.kernel.hooks.load_full();
        let mut state = loop {
            let info = self.info();
            let may = hooks.may_subscribe(&info, &filter, options.qos).await;
            may.map_err(Refused::reason)?;
            let state = self.held().ok_or(Reason::UnspecifiedError)?;
            // A login that came while the hooks decided has authorized again what was saved by
            // then. This was not, so they decide again.
            if self.attachment.info.load().login == info.login {
                break state;
            }
        };
        let new = !state.subscriptions.contains_key(&filter);
        if new && state.subscriptions.len() >= self.kernel.config.limits.subscriptions {
            return Err(Reason::QuotaExceeded);
        }
        state.subscriptions.insert(filter.clone(), options);
        drop(state);
        self.session
            .space
            .subscribe(&filter, &self.session, options);
        if self.session.state().ended {
            // Taken over with a clean start meanwhile: the router was cleared before this came.
            self.session.space.unsubscribe(&filter, &self.session);
        }
        Ok((
            options.qos,
            Granted::Plain {
                filter,
                options,
                new,
            },
        ))
    }

    fn send_retained(&self, filter: &TopicFilter, options: SubscribeOptions, new: bool) {
        let wanted = match options.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => new,
            RetainHandling::Never => false,
        };
        if !wanted {
            return;
        }
        for publication in self.session.space.retained.matching(filter) {
            let qos = publication.message.qos.min(options.qos);
            self.session
                .route(&self.kernel.config.limits, &publication, qos, true);
        }
    }

    pub(super) async fn on_unsubscribe(&mut self, unsubscribe: Unsubscribe) {
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        for filter in &unsubscribe.filters {
            reasons.push(self.unsubscribe(filter).await);
        }
        self.codec
            .unsuback(unsubscribe.id, &reasons, &mut self.wire.output);
    }

    async fn unsubscribe(&mut self, filter: &str) -> Reason {
        let Ok(filter) = TopicFilter::parse(filter, &self.kernel.config.limits.topic()) else {
            return Reason::TopicFilterInvalid;
        };
        let existed = if filter.as_str().starts_with('$') {
            self.leave_outlets(&filter).await
        } else {
            // Under the lock, so that the router says what the session does, also when another
            // connection takes over now.
            let Some(mut state) = self.held() else {
                return Reason::UnspecifiedError;
            };
            let removed = state.subscriptions.remove(&filter);
            self.session.space.unsubscribe(&filter, &self.session);
            removed.is_some()
        };
        if existed {
            Reason::Success
        } else {
            Reason::NoSubscriptionExisted
        }
    }
}
