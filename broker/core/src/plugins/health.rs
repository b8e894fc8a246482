//! Whether the broker can do its work: what `/readyz` answers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use partyline_plugin::Health;
use partyline_plugin::database::Database;
use partyline_plugin::host::DynPlugin;

/// The longest that one answer is waited for. Load balancers ask often and are impatient.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the database and every plugin, all at once.
#[derive(Clone)]
pub(crate) struct HealthCheck {
    database: Database,
    plugins: Arc<[(&'static str, Arc<dyn DynPlugin>)]>,
}

impl HealthCheck {
    pub(super) fn new(
        database: Database,
        plugins: impl Iterator<Item = (&'static str, Arc<dyn DynPlugin>)>,
    ) -> Self {
        Self {
            database,
            plugins: plugins.collect(),
        }
    }

    /// One line for each that cannot work. The words of the database itself stay in the log: they
    /// may name hosts and accounts.
    pub(crate) async fn failures(&self) -> Vec<String> {
        let (database, plugins) = tokio::join!(self.database(), self.plugins());
        let plugins = plugins
            .into_iter()
            .filter_map(|(id, failure)| failure.map(|failure| format!("{id}: {failure}")));
        database.into_iter().chain(plugins).collect()
    }

    async fn database(&self) -> Option<String> {
        match tokio::time::timeout(PATIENCE, self.database.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the database does not answer");
                Some("database: it refused".to_owned())
            }
            Err(_) => Some("database: no answer in time".to_owned()),
        }
    }

    /// Each plugin, and why it cannot work if it cannot.
    pub(crate) async fn plugins(&self) -> Vec<(&'static str, Option<String>)> {
        let plugins = self.plugins.iter().map(|(id, plugin)| async move {
            let answer = AssertUnwindSafe(plugin.health()).catch_unwind();
            let failure = match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(Health::Up)) => None,
                Ok(Ok(Health::Down(why))) => Some(why),
                Ok(Err(_)) => Some("it panicked".to_owned()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            (*id, failure)
        });
        join_all(plugins).await
    }
}
