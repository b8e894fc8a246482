//! Databases for tests, each used once.

use std::future::Future;

use partyline_plugin::database::Database;
use partyline_testkit::{Backend, ScratchDatabase};

use crate::store::MIGRATIONS;

/// Runs a test on a database of its own with the plugin's tables.
pub(super) async fn on<F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(Database) -> F) {
    let with_tables = async |database: Database| {
        database.migrate("accounts", MIGRATIONS).await.unwrap();
        test(database).await;
    };
    ScratchDatabase::run(backend, with_tables).await.unwrap();
}
