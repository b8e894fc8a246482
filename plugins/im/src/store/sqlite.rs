//! The store in SQLite.

use partyline_plugin::database::{Database, WriteTx};
use partyline_plugin::sqlx::{
    self, Sqlite as Db, SqliteConnection as Connection, SqlitePool as Pool,
};

use super::{Result, Store, column, model, rows};

/// `$1`, a JSON list of objects, as the rows `r` with these columns.
macro_rules! rows_of {
    ($($column:ident $kind:ident),+) => {
        concat!(
            "(SELECT ",
            $("value->>'", stringify!($column), "' AS ", stringify!($column), ", ",)+
            "NULL AS _ FROM json_each($1)) AS r",
        )
    };
}

#[path = "statements/forget.rs"]
mod forget;
#[path = "statements/heads.rs"]
mod heads;
#[path = "statements/items.rs"]
mod items;
#[path = "statements/known.rs"]
mod known;
#[path = "statements/place.rs"]
mod place;
#[path = "statements/send.rs"]
mod send;
#[path = "statements/store.rs"]
mod store;
#[path = "statements/sweep.rs"]
mod sweep;

/// The store in SQLite.
#[derive(Debug)]
pub(super) struct SqliteStore {
    database: Database,
    /// For reads.
    pool: Pool,
}

use SqliteStore as DbStore;

impl SqliteStore {
    pub(super) fn new(database: Database, pool: Pool) -> Self {
        Self { database, pool }
    }
}

/// The transaction's connection.
fn connection<'t>(tx: &'t mut WriteTx<'_>) -> Result<&'t mut Connection> {
    match tx {
        WriteTx::Sqlite(connection) => Ok(connection),
        WriteTx::Postgres(_) => Err(sqlx::Error::Configuration(
            "another kind of database".into(),
        )),
    }
}
