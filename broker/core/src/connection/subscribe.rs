//! SUBSCRIBE and UNSUBSCRIBE.

use std::collections::HashMap;

use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{Qos, Reason};

use super::{Connection, Refused};
use crate::codec::answer_len;
use crate::packet::{ProtocolError, RetainHandling, Subscribe, SubscribeOptions, Unsubscribe};
use crate::session::SHARE;

impl Connection {
    pub(super) async fn on_subscribe(&mut self, subscribe: Subscribe) -> Result<(), ProtocolError> {
        if subscribe.filters.is_empty() {
            return Err(ProtocolError::new(
                Reason::ProtocolError,
                "SUBSCRIBE without a filter",
            ));
        }
        // [MQTT-3.8.3-4]
        let both = |(filter, options): &(Box<str>, SubscribeOptions)| {
            options.no_local && filter.starts_with(SHARE)
        };
        if subscribe.filters.iter().any(both) {
            let detail = "No Local on a shared subscription";
            return Err(ProtocolError::new(Reason::ProtocolError, detail));
        }
        self.check_answer(subscribe.filters.len())?;
        // Where a filter is repeated, the last one stands, as in a sequence of packets.
        let places = subscribe.filters.iter().enumerate();
        let last: HashMap<&str, usize> = places.map(|(at, (filter, _))| (&**filter, at)).collect();
        let mut answers = HashMap::with_capacity(last.len());
        let mut outlets = Vec::new();
        for (at, (filter, options)) in subscribe.filters.iter().enumerate() {
            if last.get(&**filter) != Some(&at) {
                continue;
            }
            tokio::task::consume_budget().await;
            let answer = self.grant(filter, *options).await.map(|(qos, outlet)| {
                outlets.extend(outlet);
                qos
            });
            answers.insert(&**filter, answer);
        }
        let codes: Vec<_> = subscribe
            .filters
            .iter()
            .map(|(filter, _)| answers.get(&**filter).copied())
            .map(|answer| answer.unwrap_or(Err(Reason::UnspecifiedError)))
            .collect();
        self.codec
            .suback(subscribe.id, &codes, &mut self.wire.output);
        for filter in outlets {
            self.open_outlets(&filter).await;
        }
        Ok(())
    }

    /// The granted QoS, and the filter if it is one of outlets, which are opened after the SUBACK.
    async fn grant(
        &mut self,
        filter: &str,
        options: SubscribeOptions,
    ) -> Result<(Qos, Option<TopicFilter>), Reason> {
        let limits = self.kernel.config.limits.topic();
        let filter = TopicFilter::parse(filter, &limits).map_err(|_| Reason::TopicFilterInvalid)?;
        let share = filter.share().map_err(|_| Reason::TopicFilterInvalid)?;
        let shared = share.is_some();
        if share.is_some_and(|(_, topics)| topics.as_str().starts_with('$')) {
            return Err(Reason::SharedSubscriptionsNotSupported);
        }
        if !shared && filter.as_str().starts_with('$') {
            let qos = self.grant_outlets(&filter, options.subscription_id)?;
            return Ok((qos, Some(filter)));
        }
        let (new, count) = {
            let subscriptions = &self.session.state().subscriptions;
            (!subscriptions.contains_key(&filter), subscriptions.len())
        };
        if new && count >= self.kernel.config.limits.subscriptions {
            return Err(Reason::QuotaExceeded);
        }
        let hooks = self.kernel.hooks.load_full();
        let mut state = loop {
            let access = self.kernel.access();
            let info = self.info();
            let may = hooks.may_subscribe(&info, &filter, options.qos).await;
            may.map_err(Refused::reason)?;
            let state = self.held().ok_or(Reason::UnspecifiedError)?;
            // A login, or a change of rules, that came while the hooks decided has authorized again
            // what was saved by then. This was not, so they decide again.
            if self.attachment.info.load().login == info.login && self.kernel.access() == access {
                break state;
            }
        };
        // All under the lock, so that session and router say the same, whoever else comes. What is
        // retained from now on reaches the session as it comes; what was before is owed.
        let new = state
            .subscriptions
            .insert(filter.clone(), options)
            .is_none();
        let space = &self.session.space;
        space.subscribe(&filter, &self.session, options);
        let wants_retained = match options.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => new,
            RetainHandling::Never => false,
        };
        // A shared one gets none (MQTT 5 §4.8.2).
        if wants_retained && !shared {
            state.owed.add(space.retained.search(filter), options);
        }
        Ok((options.qos, None))
    }

    pub(super) async fn on_unsubscribe(
        &mut self,
        unsubscribe: Unsubscribe,
    ) -> Result<(), ProtocolError> {
        self.check_answer(unsubscribe.filters.len())?;
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        for filter in &unsubscribe.filters {
            tokio::task::consume_budget().await;
            reasons.push(self.unsubscribe(filter).await);
        }
        self.codec
            .unsuback(unsubscribe.id, &reasons, &mut self.wire.output);
        Ok(())
    }

    /// A SUBACK or UNSUBACK has one code for each filter and nothing that could be left out. Who
    /// takes none so large is told before anything is done ([MQTT-3.1.2-24]).
    fn check_answer(&self, filters: usize) -> Result<(), ProtocolError> {
        if self.codec.fits(answer_len(filters)) {
            return Ok(());
        }
        let detail = format!("the answer to {filters} filters is above the Maximum Packet Size");
        Err(ProtocolError::new(Reason::PacketTooLarge, detail))
    }

    async fn unsubscribe(&mut self, filter: &str) -> Reason {
        let Ok(filter) = TopicFilter::parse(filter, &self.kernel.config.limits.topic()) else {
            return Reason::TopicFilterInvalid;
        };
        let existed = if filter.as_str().starts_with('$') && !filter.as_str().starts_with(SHARE) {
            self.leave_outlets(&filter).await
        } else {
            // Under the lock, so that the router says what the session does, also when another
            // connection takes over now.
            let Some(mut state) = self.held() else {
                return Reason::UnspecifiedError;
            };
            state.owed.forget(&filter);
            let removed = state.subscriptions.remove(&filter);
            if removed.is_some() {
                self.session.space.unsubscribe(&filter, &self.session);
            }
            removed.is_some()
        };
        if existed {
            Reason::Success
        } else {
            Reason::NoSubscriptionExisted
        }
    }
}
