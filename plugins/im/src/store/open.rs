use std::sync::Arc;

use partyline_plugin::database::{Database, Pool};

use super::Store;
use super::{postgres, sqlite};

/// The store in a database.
pub fn open(database: &Database) -> Arc<dyn Store> {
    match database.pool() {
        Pool::Sqlite { reader, .. } => {
            Arc::new(sqlite::SqliteStore::new(database.clone(), reader.clone()))
        }
        Pool::Postgres(pool) => {
            Arc::new(postgres::PostgresStore::new(database.clone(), pool.clone()))
        }
    }
}
