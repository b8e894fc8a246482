//! A database per test, on both kinds.

use std::future::Future;

use partyline_im::Im;
use partyline_plugin::Plugin;
use partyline_plugin::database::{Database, Pool};
use partyline_plugin::sqlx::pool::PoolConnection;
use partyline_plugin::sqlx::{self, Postgres, Sqlite, Transaction};
use partyline_testkit::{Backend, ScratchDatabase};

/// Makes a test of each of these functions on SQLite, and on PostgreSQL in a module of its own.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            use partyline_testkit::Backend;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::support::database::on(Backend::Sqlite, super::$name).await;
            })+
        }

        mod postgres {
            use partyline_testkit::Backend;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::support::database::on(Backend::Postgres, super::$name).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// Runs a test on a database of its own with the plugin's tables.
pub(crate) async fn on<F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(Database) -> F) {
    let with_tables = async |database: Database| {
        let tables = Im::migrations().unwrap();
        database.migrate(Im::ID, tables).await.unwrap();
        test(database).await;
    };
    ScratchDatabase::run(backend, with_tables).await.unwrap();
}

/// How many devices have a place in a stream.
pub(crate) async fn cursors(database: &Database) -> i64 {
    let count = "SELECT count(*) FROM im_cursor";
    let count = match database.pool() {
        Pool::Sqlite { reader, .. } => sqlx::query_scalar(count).fetch_one(reader).await,
        Pool::Postgres(pool) => sqlx::query_scalar(count).fetch_one(pool).await,
    };
    count.unwrap()
}

/// Changes the database behind the plugin's back.
pub(crate) async fn execute(database: &Database, sql: &'static str) {
    match database.pool() {
        Pool::Sqlite { writer, .. } => drop(sqlx::query(sql).execute(writer).await.unwrap()),
        Pool::Postgres(pool) => drop(sqlx::query(sql).execute(pool).await.unwrap()),
    }
}

/// While it is held, the plugin can read cursors but not write them.
pub(crate) enum Held {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Holds the cursors.
pub(crate) async fn hold_cursors(database: &Database) -> Held {
    match database.pool() {
        Pool::Sqlite { writer, .. } => Held::Sqlite(writer.acquire().await.unwrap()),
        Pool::Postgres(pool) => {
            let mut held = pool.begin().await.unwrap();
            let lock = sqlx::query("LOCK TABLE im_cursor IN EXCLUSIVE MODE");
            lock.execute(&mut *held).await.unwrap();
            Held::Postgres(held)
        }
    }
}

impl Held {
    /// Lets the plugin write again.
    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(connection) => drop(connection),
            Self::Postgres(held) => held.rollback().await.unwrap(),
        }
    }
}

/// Makes the database refuse every message whose content holds `poison`.
pub(crate) async fn refuse_poison(database: &Database) {
    match database.pool() {
        Pool::Sqlite { writer, .. } => {
            let trigger = "CREATE TRIGGER poison BEFORE INSERT ON im_message
                 WHEN NEW.content LIKE '%poison%' BEGIN SELECT RAISE(ABORT, 'poison'); END";
            sqlx::query(trigger).execute(writer).await.unwrap();
        }
        Pool::Postgres(pool) => {
            for sql in [
                "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
                "CREATE TRIGGER poison BEFORE INSERT ON im_message FOR EACH ROW
                 WHEN (NEW.content LIKE '%poison%') EXECUTE FUNCTION poison()",
            ] {
                sqlx::query(sql).execute(pool).await.unwrap();
            }
        }
    }
}
