//! A Partyline plugin to begin with: a configuration, a filter and a command.
//!
//! It refuses messages that contain a word, and answers on `$x/template/refused` how many it has
//! refused since the broker started.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use partyline_plugin::protocol::RequestError;
use partyline_plugin::{
    CommandCx, FilterOptions, HookResult, Message, Phase, Plugin, PluginContext, PublishFilter,
    Reason, Registrar, Scope, SessionInfo, Verdict, async_trait,
};
use serde::{Deserialize, Serialize};

/// The plugin. Its state is its own; hooks and commands share it by `Arc`.
#[derive(Debug)]
pub struct Template {
    config: Config,
    refused: AtomicU64,
}

/// The table `[plugins.template]`. A mistyped key keeps the broker from starting.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// No message may contain this.
    pub word: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            word: "password".to_owned(),
        }
    }
}

/// A request that says nothing.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

/// The reply of `$x/template/refused`.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Messages refused since the broker started.
    pub messages: u64,
}

#[async_trait]
impl Plugin for Template {
    const ID: &'static str = "template";
    type Config = Config;

    fn validate(config: &Config) -> anyhow::Result<()> {
        ensure!(!config.word.is_empty(), "`word` must not be empty");
        Ok(())
    }

    async fn build(_: PluginContext, config: Config) -> anyhow::Result<Self> {
        let refused = AtomicU64::new(0);
        Ok(Self { config, refused })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .owns("$x/template/")
            .command(
                "$x/template/refused",
                "$x/template/reply",
                self,
                Self::refused,
            )
            .publish_filter(
                Phase::Validate,
                Scope::Plain,
                FilterOptions::default(),
                self.clone(),
            );
    }
}

#[async_trait]
impl PublishFilter for Template {
    async fn on_publish(&self, _: &SessionInfo, message: &mut Message) -> HookResult<Verdict> {
        let word = self.config.word.as_bytes();
        if !message.payload.windows(word.len()).any(|part| part == word) {
            return Ok(Verdict::Next);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        let why = "it contains a word that nobody may send";
        Ok(Verdict::reject_because(Reason::NotAuthorized, why))
    }
}

impl Template {
    async fn refused(self: Arc<Self>, _: CommandCx, _: Nothing) -> Result<Refused, RequestError> {
        let messages = self.refused.load(Ordering::Relaxed);
        Ok(Refused { messages })
    }
}
