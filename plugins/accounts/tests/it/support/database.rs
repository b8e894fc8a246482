//! A database for each world, on both kinds.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;
use parking_lot::Mutex;
use partyline_accounts::AccountsPlugin;
use partyline_plugin::Plugin;
use partyline_plugin::database::{Database, Pool};
use partyline_plugin::sqlx;
use partyline_testkit::{Backend, ScratchDatabase};

/// Runs tests without arguments on both kinds: each [`fresh`] database is of the kind whose turn
/// it is.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            use partyline_testkit::Backend;

            $(#[tokio::test]
            async fn $name() {
                $crate::support::database::on(Backend::Sqlite, super::$name()).await;
            })+
        }

        mod postgres {
            use partyline_testkit::Backend;

            $(#[tokio::test]
            async fn $name() {
                $crate::support::database::on(Backend::Postgres, super::$name()).await;
            })+
        }
    };
}
pub(crate) use on_both;

tokio::task_local! {
    static RUNNING: Running;
}

/// What a running test has to put away.
struct Running {
    backend: Backend,
    opened: Mutex<Vec<(Database, ScratchDatabase)>>,
}

/// Runs a test, and removes its databases however it ends: from within its own runtime, since a
/// connection that is being made would keep the server from removing anything.
pub(crate) async fn on<F: Future<Output = ()>>(backend: Backend, test: F) {
    let running = Running {
        backend,
        opened: Mutex::default(),
    };
    let run = async {
        let outcome = AssertUnwindSafe(test).catch_unwind().await;
        let opened = RUNNING.with(|running| std::mem::take(&mut *running.opened.lock()));
        for (database, scratch) in opened {
            database.close().await;
            scratch.discard().await.unwrap();
        }
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    };
    RUNNING.scope(running, run).await;
}

/// An empty database with the plugin's tables.
pub(crate) async fn fresh() -> Database {
    let backend = RUNNING.with(|running| running.backend);
    let scratch = ScratchDatabase::create(backend).await.unwrap();
    let database = scratch.open().await.unwrap();
    let opened = (database.clone(), scratch);
    RUNNING.with(|running| running.opened.lock().push(opened));
    let tables = AccountsPlugin::migrations().unwrap();
    database.migrate(AccountsPlugin::ID, tables).await.unwrap();
    database
}

/// The one text that a query gives.
pub(crate) async fn text(database: &Database, query: &'static str) -> String {
    let text = match database.pool() {
        Pool::Sqlite { reader, .. } => sqlx::query_scalar(query).fetch_one(reader).await,
        Pool::Postgres(pool) => sqlx::query_scalar(query).fetch_one(pool).await,
    };
    text.unwrap()
}
