//! Transactions on `dyn Store`, carried by the host's write queue.

use async_trait::async_trait;
use partyline_plugin::database::{Database, WriteJob, WriteTx};

use super::Store;

/// One transaction. It commits when it returns `Ok`, also when that says that it refused; it may
/// run more than once, so it leaves nothing in `self`.
#[async_trait]
pub(crate) trait Transaction: Send {
    type Output: Send;

    async fn run(&self, store: &mut dyn Store) -> Result<Self::Output, sqlx::Error>;
}

struct Job<T>(T);

#[async_trait]
impl<T: Transaction + Sync> WriteJob for Job<T> {
    type Output = T::Output;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<T::Output, sqlx::Error> {
        let store: &mut dyn Store = match tx {
            WriteTx::Sqlite(connection) => &mut **connection,
            WriteTx::Postgres(connection) => &mut **connection,
        };
        self.0.run(store).await
    }
}

/// Runs a transaction and returns after its commit.
pub(crate) async fn write<T>(database: &Database, transaction: T) -> Result<T::Output, sqlx::Error>
where
    T: Transaction + Sync,
{
    database.write(Job(transaction)).await
}
