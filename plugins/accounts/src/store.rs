//! What the plugin keeps in SQL.
//!
//! [`Store`] is a set of statements on one open connection, implemented for SQLite's and for
//! PostgreSQL's; the domain's transactions are written once, on `dyn Store`.

mod apps;
mod changes;
mod devices;
mod kicks;
mod logins;
mod records;
mod transaction;
mod users;

use std::ops::{Deref, DerefMut};

use partyline_plugin::database::{Database, Migrations, Pool};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

pub(crate) use apps::Apps;
pub(crate) use changes::Changes;
pub(crate) use devices::Devices;
pub(crate) use kicks::{KickRequest, Kicks};
pub(crate) use logins::Logins;
pub(crate) use records::{
    ActiveLogin, App, Change, ChangeKind, Device, Forget, PlaceOwner, Token, User, UserDevice,
};
pub(crate) use transaction::{Transaction, write};
pub(crate) use users::Users;

/// The plugin's tables.
pub(crate) const MIGRATIONS: Migrations = Migrations {
    sqlite: &[(
        "accounts",
        include_str!("../migrations/sqlite/0001_accounts.sql"),
    )],
    postgres: &[(
        "accounts",
        include_str!("../migrations/postgres/0001_accounts.sql"),
    )],
};

/// Everything that can be read and written.
pub(crate) trait Store: Apps + Users + Devices + Logins + Kicks + Changes {}

impl Store for SqliteConnection {}
impl Store for PgConnection {}

/// A connection for reads, outside of any transaction.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// Takes a connection from the pool that reads.
pub(crate) async fn read(database: &Database) -> Result<Reader, sqlx::Error> {
    Ok(match database.pool() {
        Pool::Sqlite { reader, .. } => Reader::Sqlite(reader.acquire().await?),
        Pool::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
    })
}

impl Deref for Reader {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Sqlite(connection) => &**connection,
            Self::Postgres(connection) => &**connection,
        }
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Sqlite(connection) => &mut **connection,
            Self::Postgres(connection) => &mut **connection,
        }
    }
}

#[cfg(test)]
mod tests;
