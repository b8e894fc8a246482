//! A database of a test's own, on either backend.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use futures_util::FutureExt;
use partyline_plugin::database::Database;
use partyline_plugin::sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

/// Names the PostgreSQL server for tests: a superuser's URL. `cargo xtask test` sets it.
pub const POSTGRES_VARIABLE: &str = "PARTYLINE_TEST_POSTGRES";

/// Which database a test uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file in a temporary folder.
    Sqlite,
    /// A new database on the server that [`POSTGRES_VARIABLE`] names; without it the test fails.
    Postgres,
}

/// An empty database. Call [`ScratchDatabase::discard`] at the end of the test.
#[derive(Debug)]
pub struct ScratchDatabase {
    url: String,
    folder: Option<TempDir>,
    server: Option<(String, String)>,
}

impl ScratchDatabase {
    /// Makes an empty database.
    pub async fn create(backend: Backend) -> anyhow::Result<Self> {
        match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().context("no temporary folder")?;
                let url = format!("sqlite:{}", folder.path().join("scratch.sqlite").display());
                Ok(Self {
                    url,
                    folder: Some(folder),
                    server: None,
                })
            }
            Backend::Postgres => {
                let server = std::env::var(POSTGRES_VARIABLE).with_context(|| {
                    format!("{POSTGRES_VARIABLE} is not set; run the tests by `cargo xtask test`")
                })?;
                let name = unique_name();
                execute(&server, format!("CREATE DATABASE {name}")).await?;
                let url = on_server(&server, &name);
                Ok(Self {
                    url,
                    folder: None,
                    server: Some((server, name)),
                })
            }
        }
    }

    /// Runs a test on an empty database, which is removed however the test ends.
    pub async fn run<F: Future<Output = ()>>(
        backend: Backend,
        test: impl FnOnce(Database) -> F,
    ) -> anyhow::Result<()> {
        let scratch = Self::create(backend).await?;
        let database = scratch.open().await?;
        let outcome = AssertUnwindSafe(test(database.clone()))
            .catch_unwind()
            .await;
        database.close().await;
        scratch.discard().await?;
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        Ok(())
    }

    /// The folder of its file, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens it.
    pub async fn open(&self) -> anyhow::Result<Database> {
        Ok(Database::open(&self.url).await?)
    }

    /// Removes it, whoever is still connected.
    pub async fn discard(self) -> anyhow::Result<()> {
        drop(self.folder);
        match self.server {
            Some((server, name)) => {
                execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await
            }
            None => Ok(()),
        }
    }
}

async fn execute(server: &str, sql: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await?;
    Ok(())
}

/// Unique over processes and tests, so that tests may run side by side.
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("partyline_test_{}_{count}", std::process::id())
}

/// The server's URL with another database.
fn on_server(server: &str, name: &str) -> String {
    let (address, query) = match server.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (server, String::new()),
    };
    let authority = address.find("://").map_or(0, |at| at + 3);
    let host_end = address.get(authority..).and_then(|rest| rest.find('/'));
    let base = host_end.map_or(address, |at| {
        address.get(..authority + at).unwrap_or(address)
    });
    format!("{base}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_replaced_in_the_url() {
        for (server, wanted) in [
            (
                "postgres://u:p@127.0.0.1:5/postgres",
                "postgres://u:p@127.0.0.1:5/x",
            ),
            ("postgres://u:p@127.0.0.1:5", "postgres://u:p@127.0.0.1:5/x"),
            (
                "postgres://h/postgres?sslmode=disable",
                "postgres://h/x?sslmode=disable",
            ),
        ] {
            assert_eq!(on_server(server, "x"), wanted);
        }
    }
}
