//! The directory of developers, apps and users: what the command line, REST and the console change.

mod apps;
mod error;
mod first_start;
mod lookup;
mod users;

use std::sync::Arc;

use partyline_plugin::database::Database;
use partyline_plugin::{Clock, Tasks};
use partyline_protocol::{AppKey, Username};
use tokio::sync::Notify;

pub use apps::{AppInfo, NewApp};
pub use error::DirectoryError;
pub use first_start::{Developer, FirstStart};

use crate::Config;
use crate::cache::Cache;
use crate::hashing::{BadCost, Hasher};
use crate::store::ChangeKind;

/// Apps and users. Cheap to clone; clones share caches and limits.
///
/// A server that runs on the same database, also in another process, notices every change within
/// about a second: it kicks whom the change concerns.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    clock: Clock,
    config: Config,
    hasher: Hasher,
    cache: Cache,
    /// Wakes the reader of the change log in this process.
    changed: Notify,
}

impl Directory {
    /// A directory on a database whose tables are up to date. Fails if the cost of passwords in
    /// the configuration is impossible.
    pub fn new(database: Database, clock: Clock, config: Config) -> Result<Self, BadCost> {
        Self::with_tasks(database, clock, config, Tasks::default())
    }

    /// A directory whose hashing shutdown waits for.
    pub(crate) fn with_tasks(
        database: Database,
        clock: Clock,
        config: Config,
        tasks: Tasks,
    ) -> Result<Self, BadCost> {
        let hasher = Hasher::new(&config.passwords, tasks)?;
        let cache = Cache::new(config.changes.cached);
        let changed = Notify::new();
        Ok(Self(Arc::new(Inner {
            database,
            clock,
            config,
            hasher,
            cache,
            changed,
        })))
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn hasher(&self) -> &Hasher {
        &self.0.hasher
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// Returns when this process has committed a change since the last call.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// A change was committed here: this process must not answer from before it any more.
    pub(crate) fn after_change(&self, app: &AppKey, user: Option<&Username>) {
        self.0.cache.invalidate(app, user);
        self.0.changed.notify_one();
    }
}

/// The entry that a change leaves in the log.
#[derive(Debug, Clone)]
struct LogEntry {
    kind: ChangeKind,
    app: AppKey,
    user: Option<Username>,
    now: i64,
}

impl LogEntry {
    async fn write(&self, store: &mut dyn crate::store::Store) -> Result<(), sqlx::Error> {
        store
            .log(self.kind, &self.app, self.user.as_ref(), self.now)
            .await
    }
}
