//! Moves topics to new names.

use std::sync::Arc;

use anyhow::ensure;
use partyline_plugin::protocol::{TopicFilter, TopicLimits, TopicName};
use partyline_plugin::{
    BrokerHandle, DEFAULT_QUEUE, Event, EventKind, FilterOptions, HookError, HookResult, Message,
    Observer, Phase, Plugin, PluginContext, PublishFilter, Reason, Registrar, Scope, SessionInfo,
    SubscribeError, SubscribeFilter, SubscribeVerdict, Subscription, Verdict, WillFilter,
    async_trait, tracing,
};
use serde::{Deserialize, Serialize};

/// Publishes to the old name of a topic go to its new name, so that old devices and new ones meet.
/// Access rules see the new name alone, since rewriting comes before them.
///
/// A subscription to an old name stays, and the session is subscribed to the new name as well: the
/// client gets the messages under the new name. Access rules are asked about the old name only, and
/// about both when the session is resumed; so allow both. Let this plugin be the last in
/// `[plugins] enabled` that filters subscriptions, since it takes its turn for a grant.
#[derive(Debug)]
pub struct TopicRewrite {
    config: TopicRewriteConfig,
    broker: BrokerHandle,
}

/// `[plugins.topic-rewrite]`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicRewriteConfig {
    /// The first whose `from` fits decides.
    pub rules: Vec<Rewrite>,
}

/// Topics that begin with `from` begin with `to` instead.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// The old beginning, such as `v1/`.
    pub from: String,
    /// The new one.
    pub to: String,
}

impl TopicRewriteConfig {
    fn rewritten(&self, topic: &str) -> Option<String> {
        let mut fitting = self.rules.iter().filter_map(|rule| {
            let rest = topic.strip_prefix(&rule.from)?;
            Some(format!("{}{rest}", rule.to))
        });
        fitting.next()
    }

    /// The filter under its new name; none if nothing of it moved.
    fn rewritten_filter(&self, filter: &TopicFilter) -> Option<TopicFilter> {
        let moved = self.rewritten(filter.as_str())?;
        TopicFilter::parse(&moved, &TopicLimits::default()).ok()
    }
}

#[async_trait]
impl Plugin for TopicRewrite {
    const ID: &'static str = "topic-rewrite";
    type Config = TopicRewriteConfig;

    fn validate(config: &TopicRewriteConfig) -> anyhow::Result<()> {
        for Rewrite { from, to } in &config.rules {
            let plain = |text: &str| !text.starts_with('$') && !text.contains(['+', '#', '\0']);
            ensure!(!from.is_empty(), "`from` must not be empty");
            ensure!(
                plain(from),
                "`from` {from:?} is not how a plain topic begins"
            );
            ensure!(plain(to), "`to` {to:?} is not how a plain topic begins");
            let again = config.rewritten(to);
            ensure!(again.is_none(), "`to` {to:?} would be rewritten again");
        }
        Ok(())
    }

    async fn build(cx: PluginContext, config: TopicRewriteConfig) -> anyhow::Result<Self> {
        let broker = cx.broker;
        Ok(Self { config, broker })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let (phase, scope, options) = (Phase::Rewrite, Scope::Plain, FilterOptions::default());
        registrar
            .publish_filter(phase, scope, options, self.clone())
            .will_filter(phase, scope, options, self.clone())
            .subscribe_filter(options, self.clone())
            .observe(EventKind::Unsubscribed, DEFAULT_QUEUE, self.clone());
    }
}

impl TopicRewrite {
    fn rewrite(&self, message: &mut Message) -> Verdict {
        if let Some(moved) = self.config.rewritten(message.topic.as_str()) {
            match TopicName::parse(&moved, &TopicLimits::default()) {
                Ok(topic) => message.topic = topic,
                Err(error) => {
                    return Verdict::reject_because(Reason::TopicNameInvalid, error.to_string());
                }
            }
        }
        Verdict::Next
    }
}

#[async_trait]
impl PublishFilter for TopicRewrite {
    async fn on_publish(&self, _: &SessionInfo, message: &mut Message) -> HookResult<Verdict> {
        Ok(self.rewrite(message))
    }
}

#[async_trait]
impl WillFilter for TopicRewrite {
    async fn on_will(&self, _: &SessionInfo, will: &mut Message) -> HookResult<Verdict> {
        Ok(self.rewrite(will))
    }
}

#[async_trait]
impl SubscribeFilter for TopicRewrite {
    async fn on_subscribe(
        &self,
        session: &SessionInfo,
        subscription: &mut Subscription,
    ) -> HookResult<SubscribeVerdict> {
        let moved = self.config.rewritten_filter(&subscription.filter);
        // The members of a share group would each get what the group should get once.
        if let Some(moved) = moved.filter(|_| subscription.share.is_none()) {
            let subscribed = self
                .broker
                .subscribe(session.id, moved, subscription.options);
            match subscribed.await {
                Ok(_) => {}
                Err(SubscribeError::TooMany) => {
                    return Ok(SubscribeVerdict::Reject(Reason::QuotaExceeded.into()));
                }
                Err(error) => return Err(HookError::new(error)),
            }
        }
        Ok(SubscribeVerdict::Next)
    }
}

#[async_trait]
impl Observer for TopicRewrite {
    async fn observe(&self, event: &Event) {
        if let Event::Unsubscribed {
            session, filter, ..
        } = event
            && let Some(moved) = self.config.rewritten_filter(filter)
            && self.broker.unsubscribe(session.id, &moved).await.is_err()
        {
            tracing::debug!(session.device = %session.device, "gone before its subscription was");
        }
    }
}
