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
    pub async fn check_durability(&self) -> Result<Durability, NotDurable> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize};

    use sqlx::sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    };
    use tokio::sync::Semaphore;

    use super::*;
    use crate::database::Inner;

    /// What a SQLite database with these settings is found to be.
    async fn sqlite(
        journal: SqliteJournalMode,
        synchronous: SqliteSynchronous,
    ) -> Result<Durability, NotDurable> {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("test.sqlite"))
            .create_if_missing(true)
            .journal_mode(journal)
            .synchronous(synchronous);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .unwrap();
        let reader = writer.clone();
        let database = Database(Arc::new(Inner {
            pool: Pool::Sqlite { reader, writer },
            write_slots: Semaphore::new(1),
            commits: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
        }));
        let found = database.check_durability().await;
        database.close().await;
        found
    }

    #[tokio::test]
    async fn sqlite_must_sync_its_write_ahead_log() {
        let wal = SqliteJournalMode::Wal;
        for (synchronous, value) in [
            (SqliteSynchronous::Full, "2"),
            (SqliteSynchronous::Extra, "3"),
        ] {
            let found = sqlite(wal, synchronous).await.unwrap().settings;
            let expected = [
                ("synchronous", value.to_owned()),
                ("journal_mode", "wal".to_owned()),
            ];
            assert_eq!(found, expected);
        }
        let full = SqliteSynchronous::Full;
        for (journal, synchronous, setting, value) in [
            (wal, SqliteSynchronous::Off, "synchronous", "0"),
            (wal, SqliteSynchronous::Normal, "synchronous", "1"),
            (SqliteJournalMode::Delete, full, "journal_mode", "delete"),
            (SqliteJournalMode::Memory, full, "journal_mode", "memory"),
            (SqliteJournalMode::Off, full, "journal_mode", "off"),
        ] {
            let error = sqlite(journal, synchronous).await.unwrap_err().to_string();
            let start = "the database would lose acknowledged messages";
            let wanted = format!("{start}: {setting} = {value}, need ");
            assert!(error.starts_with(&wanted), "{error}");
        }
    }

    #[test]
    fn a_setting_must_be_one_of_the_safe_ones() {
        let check = |value| require("synchronous_commit", value, &["on", "local"], "on");
        for safe in ["on", "local"] {
            check(safe).unwrap();
        }
        for unsafe_value in ["off", "", "ON", "on "] {
            let error = check(unsafe_value).unwrap_err().to_string();
            let wanted = format!("synchronous_commit = {unsafe_value}, need on");
            assert!(error.ends_with(&wanted), "{error}");
        }
    }
}
