//! Commits reach the disk whatever the database was told before, and the server says so.

use partyline_plugin::database::{Database, Pool};
use partyline_plugin::sqlx::{self, AssertSqlSafe};
use partyline_system_tests::Server;
use partyline_testkit::{Backend, ScratchDatabase};

#[tokio::test]
async fn the_server_says_at_its_start_that_commits_are_durable() -> anyhow::Result<()> {
    for (backend, settings) in [
        (Backend::Sqlite, ["synchronous", "journal_mode"]),
        (Backend::Postgres, ["fsync", "synchronous_commit"]),
    ] {
        let server = Server::start(backend, "").await?;
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.contains("commits are durable"));
        assert!(
            line.is_some_and(|line| settings.iter().all(|name| line.contains(name))),
            "{backend:?}: {log}"
        );
        server.discard().await?;
    }
    Ok(())
}

#[tokio::test]
async fn postgres_commits_are_durable_whatever_the_database_or_url_says() -> anyhow::Result<()> {
    let scratch = ScratchDatabase::create(Backend::Postgres).await?;
    let database = scratch.open().await?;
    let Pool::Postgres(pool) = database.pool() else {
        anyhow::bail!("not PostgreSQL")
    };
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(pool)
        .await?;
    let alter = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    sqlx::query(AssertSqlSafe(alter)).execute(pool).await?;
    database.close().await;

    let separator = if scratch.url().contains('?') {
        '&'
    } else {
        '?'
    };
    let careless = format!(
        "{}{separator}options=-c%20synchronous_commit%3Doff",
        scratch.url()
    );
    for url in [scratch.url(), &careless] {
        let database = Database::open(url).await?;
        let found = database.check_durability().await?.settings;
        let on = |name| (name, "on".to_owned());
        assert_eq!(found, [on("fsync"), on("synchronous_commit")], "{url}");
        database.close().await;
    }
    scratch.discard().await
}
