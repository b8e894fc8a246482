//! The statements for SQLite.

use partyline_plugin::database::WriteTx;
use sqlx::{Sqlite as Db, SqliteConnection as Connection, SqlitePool as Pool};

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

/// The part of `$2`, all packets, that a row names.
macro_rules! packet {
    () => {
        "substr($2, r.start, r.len)"
    };
}

#[path = "statements/read.rs"]
pub(super) mod read;
#[path = "statements/write.rs"]
pub(super) mod write;

/// The transaction's connection.
fn connection<'t>(tx: &'t mut WriteTx<'_>) -> Result<&'t mut Connection, sqlx::Error> {
    match tx {
        WriteTx::Sqlite(connection) => Ok(connection),
        WriteTx::Postgres(_) => Err(sqlx::Error::Configuration(
            "another kind of database".into(),
        )),
    }
}
