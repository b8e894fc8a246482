//! SUBSCRIBE and UNSUBSCRIBE.

use std::collections::HashMap;

use partyline_plugin::protocol::{TopicError, TopicFilter};
use partyline_plugin::{Qos, Reason};

use super::Connection;
use crate::codec::answer_len;
use crate::packet::{ProtocolError, Subscribe, SubscribeOptions, Unsubscribe};
use crate::session::SHARE;

/// Why a filter was refused.
type NotGranted = (Reason, String);

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
        // Where a filter is repeated, the last one stands, as in a sequence of packets. The others are
        // answered as they would be there, with their own QoS ([MQTT-3.8.4-4] of MQTT 3.1.1).
        let places = subscribe.filters.iter().enumerate();
        let last: HashMap<&str, usize> = places.map(|(at, (filter, _))| (&**filter, at)).collect();
        let mut answers = HashMap::with_capacity(last.len());
        let mut outlets = Vec::new();
        let mut detail = None;
        for (at, (filter, options)) in subscribe.filters.iter().enumerate() {
            if last.get(&**filter) != Some(&at) {
                continue;
            }
            tokio::task::consume_budget().await;
            let answer = match self.grant(filter, *options).await {
                Ok((qos, outlet)) => {
                    outlets.extend(outlet);
                    Ok(qos)
                }
                Err((reason, why)) => {
                    // The first one that was refused.
                    detail = detail.or_else(|| Some(format!("{filter}: {why}")));
                    Err(reason)
                }
            };
            answers.insert(&**filter, answer);
        }
        let codes: Vec<_> = subscribe
            .filters
            .iter()
            .enumerate()
            .map(|(at, (filter, options))| {
                let answer = answers.get(&**filter).copied();
                let answer = answer.unwrap_or(Err(Reason::UnspecifiedError));
                let stands = last.get(&**filter);
                let asked = stands.and_then(|at| subscribe.filters.get(*at));
                let as_asked = asked.map(|(_, options)| options.qos).map(Ok) == Some(answer);
                // An earlier place of a repeated filter has the QoS that it would have had alone:
                // that of an outlet is not the client's to choose, and a plugin may lower others.
                let outlet = filter.starts_with('$') && !filter.starts_with(SHARE);
                answer.map(|granted| {
                    if outlet || stands == Some(&at) {
                        granted
                    } else if as_asked {
                        options.qos
                    } else {
                        options.qos.min(granted)
                    }
                })
            })
            .collect();
        self.codec.suback(
            subscribe.id,
            &codes,
            detail.as_deref(),
            &mut self.wire.output,
        );
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
    ) -> Result<(Qos, Option<TopicFilter>), NotGranted> {
        let limits = self.kernel.config.limits.topic();
        let invalid = |error: TopicError| (Reason::TopicFilterInvalid, error.to_string());
        let filter = TopicFilter::parse(filter, &limits).map_err(invalid)?;
        let share = filter.share().map_err(invalid)?;
        let shared = share.is_some();
        if share.is_some_and(|(_, topics)| topics.as_str().starts_with('$')) {
            let detail = "topics under $ cannot be shared".to_owned();
            return Err((Reason::SharedSubscriptionsNotSupported, detail));
        }
        if !shared && filter.as_str().starts_with('$') {
            let qos = self
                .grant_outlets(&filter, options.subscription_id)
                .map_err(|reason| self.not_granted(reason))?;
            self.kernel
                .events
                .subscribed(&self.attachment, &filter, qos);
            return Ok((qos, Some(filter)));
        }
        let (new, count) = {
            let subscriptions = &self.session.state().subscriptions;
            (!subscriptions.contains_key(&filter), subscriptions.len())
        };
        if new && count >= self.kernel.config.limits.subscriptions {
            return Err(self.not_granted(Reason::QuotaExceeded));
        }
        let hooks = self.kernel.hooks.load_full();
        let asked = options;
        let (mut state, options) = loop {
            let access = self.kernel.access();
            let info = self.info();
            let may = hooks.may_subscribe(&info, &filter, asked.qos).await;
            may.map_err(|refused| self.not_granted(refused.reason()))?;
            let left = hooks.filter_subscribe(&info, &filter, asked).await;
            let options = left.map_err(|why| match why.message {
                Some(message) => (why.reason, message.into_string()),
                None => self.not_granted(why.reason),
            })?;
            let state = self.held();
            let state = state.ok_or_else(|| self.not_granted(Reason::UnspecifiedError))?;
            // A login, or a change of rules, that came while the hooks decided has authorized again
            // what was saved by then. This was not, so they decide again.
            if self.attachment.info.load().login == info.login && self.kernel.access() == access {
                break (state, options);
            }
        };
        self.session.subscribe(&mut state, filter.clone(), options);
        let events = &self.kernel.events;
        events.subscribed(&self.attachment, &filter, options.qos);
        Ok((options.qos, None))
    }

    fn not_granted(&self, reason: Reason) -> NotGranted {
        let detail = match reason {
            Reason::NotAuthorized => "subscribing to this filter is not allowed".to_owned(),
            Reason::QuotaExceeded => {
                let most = self.kernel.config.limits.subscriptions;
                format!("a session has at most {most} subscriptions")
            }
            reason => reason.to_string(),
        };
        (reason, detail)
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
            self.session.unsubscribe(&mut state, &filter)
        };
        if existed {
            self.kernel.events.unsubscribed(&self.info(), &filter);
            Reason::Success
        } else {
            Reason::NoSubscriptionExisted
        }
    }
}
