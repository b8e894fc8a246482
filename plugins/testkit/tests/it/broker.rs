//! A broker of the test's own: configuration as TOML, restart, clock, HTTP.

use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::database::{Database, Migrations, Pool, WriteJob, WriteTx};
use partyline_plugin::{Clock, Plugin, PluginContext, Registrar, async_trait, sqlx};
use partyline_testkit::TestBroker;
use serde::{Deserialize, Serialize};

/// Writes down when it was started.
struct Diary {
    clock: Clock,
    database: Database,
    word: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiaryConfig {
    word: String,
}

struct Entry;

#[async_trait]
impl WriteJob for Entry {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<(), sqlx::Error> {
        let WriteTx::Sqlite(tx) = tx else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        let query = sqlx::query("INSERT INTO diary_entry (text) VALUES ('started')");
        query.execute(&mut **tx).await.map(drop)
    }
}

#[async_trait]
impl Plugin for Diary {
    const ID: &'static str = "diary";
    type Config = DiaryConfig;

    fn migrations() -> Option<Migrations> {
        let steps = &[("entries", "CREATE TABLE diary_entry (text TEXT NOT NULL)")];
        Some(Migrations {
            sqlite: steps,
            postgres: steps,
        })
    }

    async fn build(cx: PluginContext, config: DiaryConfig) -> anyhow::Result<Self> {
        cx.database.write(Entry).await?;
        Ok(Self {
            clock: cx.clock,
            database: cx.database,
            word: config.word,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(Arc::clone(self));
    }
}

impl Diary {
    async fn entries(&self) -> anyhow::Result<i64> {
        let Pool::Sqlite { reader, .. } = self.database.pool() else {
            anyhow::bail!("it is SQLite");
        };
        let query = sqlx::query_scalar("SELECT count(*) FROM diary_entry");
        Ok(query.fetch_one(reader).await?)
    }
}

#[tokio::test]
async fn a_restart_keeps_plugins_configuration_data_and_clock() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin_from_toml::<Diary>()
        .toml("[plugins.diary]\nword = \"dear\"\n")
        .start()
        .await?;
    let diary = broker.services().get::<Diary>()?;
    assert_eq!((&*diary.word, diary.entries().await?), ("dear", 1));
    let before = diary.clock.now_ms();
    let day = Duration::from_hours(24);
    broker.advance(day);
    let broker = broker.restart().await?;
    let diary = broker.services().get::<Diary>()?;
    assert_eq!((&*diary.word, diary.entries().await?), ("dear", 2));
    assert!(diary.clock.now_ms() - before >= 24 * 60 * 60 * 1000);
    let answer = broker.http().get("/healthz").await?;
    assert_eq!((answer.status, &*answer.body), (200, "ok\n"));
    let answer = broker.http().get("/nowhere").await?;
    assert_eq!(answer.status, 404);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_toml_is_said_at_the_start() -> anyhow::Result<()> {
    for (toml, word) in [
        ("[plugins.diary]\nwords = 1\n", "words"),
        ("[plugins", "TOML"),
    ] {
        let started = TestBroker::builder()
            .plugin_from_toml::<Diary>()
            .toml(toml)
            .start()
            .await;
        let said = format!("{:#}", started.expect_err("it is refused"));
        assert!(said.contains("diary") && said.contains(word), "{said}");
    }
    Ok(())
}
