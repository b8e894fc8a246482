//! Opening a database by its URL.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Semaphore;

use super::{Database, Inner, NotDurable, Pool};

/// How long a connection may take to be had.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Write transactions that run side by side on PostgreSQL.
const POSTGRES_WRITERS: usize = 8;

/// How long SQLite waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(5);

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is of no known kind.
    #[error("database url must begin with sqlite: or postgres:")]
    UnknownKind,
    /// The database refused.
    #[error("the database could not be opened")]
    Connect(#[from] sqlx::Error),
    /// Commits would not be durable.
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
}

impl Database {
    /// Opens `sqlite:…` (the file is made if missing) or `postgres://…`, and checks that commits
    /// are durable.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let (pool, writers) = if url.starts_with("sqlite:") {
            (open_sqlite(url).await?, 1)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url)?.options([("synchronous_commit", "on")]);
            // The pool would try until its time is up and then only say that it is.
            let probe = tokio::time::timeout(CONNECT_TIME, options.connect());
            let probe = probe.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            probe.close().await?;
            let pool = PgPoolOptions::new()
                .max_connections(24)
                .acquire_timeout(CONNECT_TIME)
                .connect_with(options)
                .await?;
            (Pool::Postgres(pool), POSTGRES_WRITERS)
        } else {
            return Err(OpenError::UnknownKind);
        };
        let database = Self(Arc::new(Inner {
            pool,
            write_slots: Semaphore::new(writers),
            commits: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
        }));
        let durability = database.check_durability().await?;
        tracing::info!(settings = ?durability.settings, "database open, commits are durable");
        Ok(database)
    }
}

async fn open_sqlite(url: &str) -> Result<Pool, sqlx::Error> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone())
        .await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options.read_only(true))
        .await?;
    Ok(Pool::Sqlite { reader, writer })
}
