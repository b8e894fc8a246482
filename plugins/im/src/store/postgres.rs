//! The store in PostgreSQL.

use partyline_plugin::database::{Database, WriteTx};
use partyline_plugin::sqlx::{self, PgConnection as Connection, PgPool as Pool, Postgres as Db};

use super::{Result, Store, column, model, rows};

/// `$1`, a JSON list of objects, as the rows `r` with these columns.
macro_rules! rows_of {
    ($($column:ident $kind:ident),+) => {
        concat!(
            "json_to_recordset($1::json) AS r(",
            $(stringify!($column), " ", stringify!($kind), ", ",)+
            "_ bigint)",
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

/// The store in PostgreSQL.
#[derive(Debug)]
pub(super) struct PostgresStore {
    database: Database,
    /// For reads.
    pool: Pool,
}

use PostgresStore as DbStore;

impl PostgresStore {
    pub(super) fn new(database: Database, pool: Pool) -> Self {
        Self { database, pool }
    }
}

/// The transaction's connection.
fn connection<'t>(tx: &'t mut WriteTx<'_>) -> Result<&'t mut Connection> {
    match tx {
        WriteTx::Postgres(connection) => Ok(connection),
        WriteTx::Sqlite(_) => Err(sqlx::Error::Configuration(
            "another kind of database".into(),
        )),
    }
}
