//! A new configuration for plugins that run.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use figment::Figment;
use figment::value::Value;
use futures_util::FutureExt;
use partyline_plugin::Reload;
use partyline_plugin::host::Reloading;
use tokio::sync::Mutex;

use super::host::Hosted;

/// How long a plugin may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a reload did to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReloadOutcome {
    /// Its table says what it said before; it was not asked.
    Unchanged,
    /// The new table is in force.
    Applied,
    /// The new table will be in force after a restart.
    RestartNeeded,
    /// It could not say; the old table is still in force, if the plugin keeps its promise.
    Failed(String),
}

/// A table cannot be used. Nothing was reloaded.
#[derive(Debug, thiserror::Error)]
#[error("the new configuration of plugin `{plugin}` cannot be used, nothing was reloaded")]
pub struct ReloadError {
    /// Whose.
    pub plugin: &'static str,
    /// Why, with file and key.
    #[source]
    pub source: Box<figment::Error>,
}

/// The tables in force. One reload at a time.
#[derive(Debug, Default)]
pub(super) struct Tables(Mutex<HashMap<&'static str, Option<Value>>>);

fn table(figment: &Figment, plugin: &str) -> Option<Value> {
    figment.find_value(&format!("plugins.{plugin}")).ok()
}

impl Tables {
    pub(super) fn new(figment: &Figment, hosted: &[Hosted]) -> Self {
        let ids = hosted.iter().map(|hosted| hosted.id);
        Self(Mutex::new(ids.map(|id| (id, table(figment, id))).collect()))
    }

    /// Reads and checks all tables, then hands those that changed to their plugins, in order.
    pub(super) async fn reload(
        &self,
        figment: &Figment,
        hosted: &[Hosted],
    ) -> Result<Vec<(&'static str, ReloadOutcome)>, ReloadError> {
        let mut tables = self.0.lock().await;
        let mut prepared = Vec::new();
        for one in hosted {
            let (plugin, new) = (one.id, table(figment, one.id));
            let reloading = std::sync::Arc::clone(&one.plugin).prepare_reload(figment);
            let reloading = reloading.map_err(|source| ReloadError { plugin, source })?;
            let changed = tables.get(plugin) != Some(&new);
            prepared.push((plugin, new, changed.then_some(reloading)));
        }
        let mut outcomes = Vec::new();
        for (plugin, new, reloading) in prepared {
            let outcome = match reloading {
                None => ReloadOutcome::Unchanged,
                Some(reloading) => carry_out(reloading).await,
            };
            match &outcome {
                ReloadOutcome::Applied => {
                    tables.insert(plugin, new);
                    tracing::info!(plugin, "the configuration was reloaded");
                }
                ReloadOutcome::RestartNeeded => {
                    tracing::warn!(plugin, "the configuration needs a restart");
                }
                ReloadOutcome::Failed(why) => {
                    tracing::error!(plugin, why, "the configuration could not be reloaded");
                }
                ReloadOutcome::Unchanged => {}
            }
            outcomes.push((plugin, outcome));
        }
        Ok(outcomes)
    }
}

async fn carry_out(reloading: Reloading) -> ReloadOutcome {
    let reloading = AssertUnwindSafe(reloading).catch_unwind();
    match tokio::time::timeout(PATIENCE, reloading).await {
        Ok(Ok(Ok(Reload::Applied))) => ReloadOutcome::Applied,
        // Or what a later version says.
        Ok(Ok(Ok(_))) => ReloadOutcome::RestartNeeded,
        Ok(Ok(Err(error))) => ReloadOutcome::Failed(format!("{error:#}")),
        Ok(Err(_)) => ReloadOutcome::Failed("it panicked".to_owned()),
        Err(_) => ReloadOutcome::Failed("no answer in time".to_owned()),
    }
}
