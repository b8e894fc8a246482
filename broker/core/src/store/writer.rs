//! The one task that writes the journal.

use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::database::{Database, Pool};
use partyline_plugin::{CancellationToken, Tasks};
use tokio::time::timeout;

use super::batch::Batch;
use super::journal::Work;
use super::steps::{Step, steps};
use super::{Journal, postgres, sqlite};

/// How long changes that nobody waits for may lie: an acknowledgement that comes meanwhile spares
/// the disk the message.
const LAZY: Duration = Duration::from_millis(50);

/// How long the writer rests after a failure; doubles up to the longest.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Writes until it is stopped.
#[derive(Debug)]
pub(crate) struct Writer {
    journal: Arc<Journal>,
    tasks: Tasks,
}

impl Writer {
    pub(crate) fn spawn(journal: &Arc<Journal>, database: Database) -> Self {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn(write(
            Arc::clone(journal),
            database,
            tasks.stopping().clone(),
        ));
        let journal = Arc::clone(journal);
        Self { journal, tasks }
    }

    /// Takes no more changes and writes what is there, within `grace`.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.journal.close();
        if timeout(grace, self.tasks.finished()).await.is_err() {
            tracing::error!("the last changes of sessions could not be written in time");
            self.tasks.stopping().cancel();
        }
    }
}

async fn write(journal: Arc<Journal>, database: Database, stop: CancellationToken) {
    loop {
        let last = match journal.work() {
            Work::Nothing => {
                journal.changed().await;
                continue;
            }
            Work::Lazy => {
                let hurried = async {
                    while matches!(journal.work(), Work::Lazy) {
                        journal.changed().await;
                    }
                };
                // Whether somebody came to wait or nobody did, it is written now.
                let _ = timeout(LAZY, hurried).await;
                false
            }
            Work::Urgent => false,
            Work::Last => true,
        };
        let (number, batch) = journal.take();
        let written = stop.run_until_cancelled(commit(&database, &batch));
        if written.await.is_none() {
            return;
        }
        journal.written(number);
        if last {
            return;
        }
    }
}

/// Says that all is written, where there is no database.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) async fn write_nothing(journal: Arc<Journal>) {
    loop {
        while matches!(journal.work(), Work::Nothing) {
            journal.changed().await;
        }
        let (number, _) = journal.take();
        journal.written(number);
    }
}

/// Writes a batch, however long it takes.
async fn commit(database: &Database, batch: &Batch) {
    let steps = match steps(batch) {
        Ok(steps) => steps,
        Err(error) => {
            // Numbers and texts are always JSON.
            tracing::error!(%error, "changes of sessions could not be put into words");
            return std::future::pending().await;
        }
    };
    let mut rest = FIRST_REST;
    while let Err(error) = run(database, &steps).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "changes of sessions could not be written; what waits for them is not acknowledged"
        );
        tokio::time::sleep(rest).await;
        rest = LONGEST_REST.min(rest * 2);
    }
}

/// One transaction, unless there is nothing to do.
pub(super) async fn run(database: &Database, steps: &[Step]) -> Result<(), sqlx::Error> {
    if steps.is_empty() {
        return Ok(());
    }
    match database.pool() {
        Pool::Sqlite { .. } => database.write(sqlite::write::Write(steps)).await,
        Pool::Postgres(_) => database.write(postgres::write::Write(steps)).await,
    }
}
