//! The database that the host opens for all plugins: SQLite or PostgreSQL, one write queue.
//!
//! Reads go to a pool. Writes go through [`Database::write`]: one job is one transaction, run
//! again as a whole after a deadlock or a serialization failure. On SQLite one job runs at a time,
//! so that plugins never fight for its lock; on PostgreSQL several run side by side. A returned
//! `Ok` means that the transaction is on disk.

mod durability;
mod migrations;
mod open;
mod write;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sqlx::{PgPool, SqlitePool};
use tokio::sync::Semaphore;

pub use durability::{Durability, NotDurable};
pub use migrations::Migrations;
pub use open::OpenError;
pub use write::{WriteJob, WriteTx};

/// A handle on the database. Cheap to clone.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    pool: Pool,
    /// Fair, so that jobs run in the order in which they were submitted where only one runs.
    write_slots: Semaphore,
    /// Transactions of the queue that were committed.
    commits: AtomicU64,
    /// Jobs that were submitted and are not done.
    unfinished: AtomicUsize,
}

/// The pool that reads use.
#[derive(Debug, Clone)]
pub enum Pool {
    /// SQLite: `reader` is for reads only; the writer is the queue's.
    Sqlite {
        /// For reads.
        reader: SqlitePool,
        /// The one connection that writes.
        writer: SqlitePool,
    },
    /// PostgreSQL.
    Postgres(PgPool),
}

impl Database {
    /// The pool, for reads.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// How many transactions the write queue has committed since the database was opened.
    pub fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Relaxed)
    }

    /// How many jobs of the write queue run or wait their turn.
    pub fn unfinished_writes(&self) -> usize {
        self.0.unfinished.load(Ordering::Relaxed)
    }

    /// Whether it answers.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        let query = "SELECT 1";
        match self.pool() {
            Pool::Sqlite { reader, .. } => sqlx::query(query).execute(reader).await.map(drop),
            Pool::Postgres(pool) => sqlx::query(query).execute(pool).await.map(drop),
        }
    }

    /// Waits until no connection is in use and closes them all.
    pub async fn close(&self) {
        match &self.0.pool {
            Pool::Sqlite { reader, writer } => {
                reader.close().await;
                writer.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.pool {
            Pool::Sqlite { .. } => "Database(sqlite)",
            Pool::Postgres(_) => "Database(postgres)",
        })
    }
}
