//! The statements for PostgreSQL.

use partyline_plugin::database::WriteTx;
use sqlx::{PgConnection as Connection, PgPool as Pool, Postgres as Db};

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

/// The part of `$2`, all packets, that a row names.
macro_rules! packet {
    () => {
        "substr($2::bytea, r.start, r.len)"
    };
}

#[path = "statements/read.rs"]
pub(super) mod read;
#[path = "statements/write.rs"]
pub(super) mod write;

/// The transaction's connection.
fn connection<'t>(tx: &'t mut WriteTx<'_>) -> Result<&'t mut Connection, sqlx::Error> {
    match tx {
        WriteTx::Postgres(connection) => Ok(connection),
        WriteTx::Sqlite(_) => Err(sqlx::Error::Configuration(
            "another kind of database".into(),
        )),
    }
}
