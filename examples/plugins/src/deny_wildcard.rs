//! Refuses subscriptions to more than a client should listen to.

use std::sync::Arc;

use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{
    FilterOptions, HookResult, Plugin, PluginContext, Reason, Refusal, Registrar, Role,
    SessionInfo, SubscribeFilter, SubscribeVerdict, Subscription, async_trait,
};
use serde::{Deserialize, Serialize};

/// Refuses `#` and other filters that begin with a wildcard, and what the configuration names.
///
/// It is a filter and no access rule: it can only take away what access rules have allowed, so its
/// place among them does not matter. A session that was kept from before is not asked again.
#[derive(Debug)]
pub struct DenyWildcard {
    config: DenyWildcardConfig,
}

/// `[plugins.deny-wildcard]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenyWildcardConfig {
    /// Whether every filter that begins with a wildcard is refused, and not only those that match
    /// every topic.
    pub leading: bool,
    /// Nobody may subscribe to all of one of these, such as `building/#`: neither to the filter
    /// itself nor to one that covers it.
    pub also: Vec<TopicFilter>,
    /// Whether the app's own server is refused too.
    pub servers: bool,
}

impl Default for DenyWildcardConfig {
    fn default() -> Self {
        Self {
            leading: true,
            also: Vec::new(),
            servers: false,
        }
    }
}

#[async_trait]
impl Plugin for DenyWildcard {
    const ID: &'static str = "deny-wildcard";
    type Config = DenyWildcardConfig;

    async fn build(_: PluginContext, config: DenyWildcardConfig) -> anyhow::Result<Self> {
        Ok(Self { config })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.subscribe_filter(FilterOptions::default(), self.clone());
    }
}

impl DenyWildcard {
    fn refuses(&self, filter: &TopicFilter) -> bool {
        let leading = filter.as_str().starts_with(['+', '#']);
        let everything = matches!(filter.as_str(), "#" | "+/#");
        everything
            || (leading && self.config.leading)
            || self.config.also.iter().any(|also| filter.covers(also))
    }
}

#[async_trait]
impl SubscribeFilter for DenyWildcard {
    async fn on_subscribe(
        &self,
        session: &SessionInfo,
        subscription: &mut Subscription,
    ) -> HookResult<SubscribeVerdict> {
        let spared = session.principal.role == Role::Server && !self.config.servers;
        if spared || !self.refuses(&subscription.filter) {
            return Ok(SubscribeVerdict::Next);
        }
        let why = Refusal::because(Reason::NotAuthorized, "this filter matches too much");
        Ok(SubscribeVerdict::Reject(why))
    }
}
