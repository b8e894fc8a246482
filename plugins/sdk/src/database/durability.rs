//! Whether a commit means "on disk".

use sqlx::Row;

use super::{Database, Pool};

/// The settings that make a commit durable, as the database itself reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// Setting and value, in the database's own words.
    pub settings: Vec<(&'static str, String)>,
}

/// A setting that would let a commit be lost.
#[derive(Debug, thiserror::Error)]
pub enum NotDurable {
    /// The setting is not safe.
    #[error("the database would lose acknowledged messages: {setting} = {value}, need {need}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        need: &'static str,
    },
    /// The setting could not be read.
    #[error("the durability settings could not be read")]
    Unreadable(#[from] sqlx::Error),
}

impl Database {
    /// Asks the database for its settings and fails if one of them is unsafe.
    pub async fn assert_durable(&self) -> Result<Durability, NotDurable> {
        match self.pool() {
            Pool::Sqlite { writer, .. } => {
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
                    .fetch_one(writer)
                    .await?;
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
                    .fetch_one(writer)
                    .await?;
                // 2 is FULL, 3 is EXTRA; in WAL mode both sync the log before a commit returns.
                require(
                    "synchronous",
                    &synchronous.to_string(),
                    &["2", "3"],
                    "2 (FULL)",
                )?;
                require("journal_mode", &journal, &["wal"], "wal")?;
                let settings = vec![
                    ("synchronous", synchronous.to_string()),
                    ("journal_mode", journal),
                ];
                Ok(Durability { settings })
            }
            Pool::Postgres(pool) => {
                let row = sqlx::query(
                    "SELECT current_setting('fsync'), current_setting('synchronous_commit')",
                )
                .fetch_one(pool)
                .await?;
                let (fsync, commit): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                require("fsync", &fsync, &["on"], "on")?;
                let safe = ["on", "local", "remote_write", "remote_apply"];
                require("synchronous_commit", &commit, &safe, "on")?;
                let settings = vec![("fsync", fsync), ("synchronous_commit", commit)];
                Ok(Durability { settings })
            }
        }
    }
}

fn require(
    setting: &'static str,
    value: &str,
    safe: &[&str],
    need: &'static str,
) -> Result<(), NotDurable> {
    if safe.contains(&value) {
        return Ok(());
    }
    Err(NotDurable::Setting {
        setting,
        value: value.to_owned(),
        need,
    })
}
