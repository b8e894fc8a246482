//! Limits the size of payloads by topic.

use std::sync::Arc;

use anyhow::ensure;
use arc_swap::ArcSwap;
use partyline_plugin::{
    FilterOptions, HookResult, Message, Phase, Plugin, PluginContext, PublishFilter, Reason,
    Registrar, Reload, Scope, SessionInfo, Verdict, WillFilter, async_trait,
};
use serde::{Deserialize, Serialize};

/// Refuses messages and wills whose payload is larger than their topic may have.
#[derive(Debug)]
pub struct PayloadLimit {
    config: ArcSwap<PayloadLimitConfig>,
}

/// `[plugins.payload-limit]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayloadLimitConfig {
    /// Largest payload on topics that no prefix names, bytes.
    pub bytes: usize,
    /// Limits of their own. The longest prefix decides.
    pub prefixes: Vec<PrefixLimit>,
}

/// The limit of the topics that begin with `prefix`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixLimit {
    /// Such as `sensors/`.
    pub prefix: String,
    /// Largest payload, bytes.
    pub bytes: usize,
}

impl Default for PayloadLimitConfig {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024,
            prefixes: Vec::new(),
        }
    }
}

impl PayloadLimitConfig {
    fn limit(&self, topic: &str) -> usize {
        let named = self.prefixes.iter();
        let named = named.filter(|one| topic.starts_with(&one.prefix));
        let longest = named.max_by_key(|one| one.prefix.len());
        longest.map_or(self.bytes, |one| one.bytes)
    }
}

#[async_trait]
impl Plugin for PayloadLimit {
    const ID: &'static str = "payload-limit";
    type Config = PayloadLimitConfig;

    fn validate(config: &PayloadLimitConfig) -> anyhow::Result<()> {
        for (index, one) in config.prefixes.iter().enumerate() {
            let earlier = config.prefixes.iter().take(index);
            let twice = earlier.into_iter().any(|other| other.prefix == one.prefix);
            ensure!(!twice, "the prefix {:?} stands twice", one.prefix);
        }
        Ok(())
    }

    async fn build(_: PluginContext, config: PayloadLimitConfig) -> anyhow::Result<Self> {
        let config = ArcSwap::from_pointee(config);
        Ok(Self { config })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let (phase, scope, options) = (Phase::Validate, Scope::Plain, FilterOptions::default());
        registrar
            .publish_filter(phase, scope, options, self.clone())
            .will_filter(phase, scope, options, self.clone());
    }

    async fn reload(&self, config: PayloadLimitConfig) -> anyhow::Result<Reload> {
        self.config.store(Arc::new(config));
        Ok(Reload::Applied)
    }
}

impl PayloadLimit {
    fn verdict(&self, message: &Message) -> Verdict {
        let limit = self.config.load().limit(message.topic.as_str());
        match message.payload.len() {
            bytes if bytes > limit => Verdict::reject_because(
                Reason::QuotaExceeded,
                format!("{bytes} bytes where {limit} are allowed"),
            ),
            _ => Verdict::Next,
        }
    }
}

#[async_trait]
impl PublishFilter for PayloadLimit {
    async fn on_publish(&self, _: &SessionInfo, message: &mut Message) -> HookResult<Verdict> {
        Ok(self.verdict(message))
    }
}

#[async_trait]
impl WillFilter for PayloadLimit {
    async fn on_will(&self, _: &SessionInfo, will: &mut Message) -> HookResult<Verdict> {
        Ok(self.verdict(will))
    }
}
