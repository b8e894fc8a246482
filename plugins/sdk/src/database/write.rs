//! The write queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Acquire, Connection, PgConnection, SqliteConnection};
use tokio::time::Instant;

use super::{Database, Pool};

/// How often a job is run again after a conflict before its error is returned.
const MAX_RETRIES: u32 = 8;

/// How long after its first try a job may be run again: on SQLite each try waits for a lock that
/// another process holds, and all others in the queue wait too.
const RETRY_FOR: Duration = Duration::from_secs(5);

/// An open transaction. It commits when the job returns `Ok`, and rolls back otherwise.
#[derive(Debug)]
pub enum WriteTx<'a> {
    /// On SQLite.
    Sqlite(&'a mut SqliteConnection),
    /// On PostgreSQL.
    Postgres(&'a mut PgConnection),
}

/// A piece of work that is one transaction. It may run more than once, so it must leave in `self`
/// nothing that a rolled-back run would falsify.
#[async_trait]
pub trait WriteJob: Send {
    /// What the caller gets after the commit.
    type Output: Send;

    /// The work. Locks rows in one global order where it locks several.
    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<Self::Output, sqlx::Error>;
}

impl Database {
    /// Runs a job as one transaction and returns after its commit.
    pub async fn write<J: WriteJob>(&self, mut job: J) -> Result<J::Output, sqlx::Error> {
        let _unfinished = Unfinished::begin(&self.0.unfinished);
        let _slot = self
            .0
            .write_slots
            .acquire()
            .await
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let mut tries = 0;
        let began = Instant::now();
        loop {
            match self.attempt(&mut job).await {
                Err(error)
                    if tries < MAX_RETRIES
                        && began.elapsed() < RETRY_FOR
                        && is_conflict(&error) =>
                {
                    tries += 1;
                    tracing::debug!(tries, "write conflict, running the transaction again");
                    tokio::time::sleep(Duration::from_millis(u64::from(tries) * 3)).await;
                }
                result => return result,
            }
        }
    }

    async fn attempt<J: WriteJob>(&self, job: &mut J) -> Result<J::Output, sqlx::Error> {
        let output = match &self.0.pool {
            Pool::Sqlite { writer, .. } => {
                let mut connection = writer.acquire().await?;
                let connection = connection.acquire().await?;
                // The write lock is taken at the start: upgrading later could only fail.
                let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
                let output = job.run(&mut WriteTx::Sqlite(&mut tx)).await?;
                tx.commit().await?;
                output
            }
            Pool::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                let output = job.run(&mut WriteTx::Postgres(&mut tx)).await?;
                tx.commit().await?;
                output
            }
        };
        self.0.commits.fetch_add(1, Ordering::Relaxed);
        Ok(output)
    }
}

/// Counts a job until it is done or given up.
struct Unfinished<'a>(&'a AtomicUsize);

impl<'a> Unfinished<'a> {
    fn begin(jobs: &'a AtomicUsize) -> Self {
        jobs.fetch_add(1, Ordering::Relaxed);
        Self(jobs)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Deadlock or serialization failure (PostgreSQL 40P01, 40001), busy or locked (SQLite 5, 6).
fn is_conflict(error: &sqlx::Error) -> bool {
    let Some(code) = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
    else {
        return false;
    };
    match code.parse::<u32>() {
        Ok(sqlite) if sqlite < 10_000 => matches!(sqlite & 0xff, 5 | 6),
        _ => matches!(code.as_ref(), "40001" | "40P01"),
    }
}
