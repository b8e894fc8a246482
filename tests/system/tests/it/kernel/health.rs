//! `/healthz` and `/readyz`, and the end of a plugin's life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::{Health, Plugin, PluginContext, Registrar, Tasks};
use partyline_system_tests::http_get;
use partyline_testkit::TestBroker;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// A plugin whose health a test chooses.
struct Moody {
    mood: Mutex<Mood>,
    tasks: Tasks,
    worked: Arc<AtomicBool>,
    stopped_after_work: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Mood {
    Well,
    Ill,
    Silent,
    Panicking,
}

#[async_trait]
impl Plugin for Moody {
    const ID: &'static str = "moody";
    type Config = Config;

    async fn build(cx: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self {
            mood: Mutex::new(Mood::Well),
            tasks: cx.tasks,
            worked: Arc::default(),
            stopped_after_work: Arc::default(),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(Arc::clone(self));
        let (stopping, worked) = (self.tasks.stopping().clone(), Arc::clone(&self.worked));
        self.tasks.spawn(async move {
            stopping.cancelled().await;
            // What is finished after the word to stop must be there when `stop` flushes.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            worked.store(true, Ordering::SeqCst);
        });
    }

    async fn health(&self) -> Health {
        let mood = *self.mood.lock();
        match mood {
            Mood::Well => Health::Up,
            Mood::Ill => Health::Down("no milk".to_owned()),
            Mood::Silent => std::future::pending().await,
            Mood::Panicking => panic!("on purpose"),
        }
    }

    async fn stop(&self) -> anyhow::Result<()> {
        let worked = self.worked.load(Ordering::SeqCst);
        self.stopped_after_work.store(worked, Ordering::SeqCst);
        panic!("on purpose, too: the others are stopped all the same");
    }
}

/// Status and body of a GET.
async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let reply = http_get(address, path).await?;
    Ok((reply.status, reply.body))
}

#[tokio::test]
async fn readiness_is_that_of_the_database_and_every_plugin() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<Moody>(json!({}))
        .start()
        .await?;
    let moody = broker.services().get::<Moody>()?;
    let http = broker.addresses().http;
    for (mood, status, body) in [
        (Mood::Well, 200, "ready"),
        (Mood::Ill, 503, "moody: no milk"),
        (Mood::Silent, 503, "moody: no answer in time"),
        (Mood::Panicking, 503, "moody: it panicked"),
        (Mood::Well, 200, "ready"),
    ] {
        *moody.mood.lock() = mood;
        assert_eq!(get(http, "/readyz").await?, (status, body.to_owned()));
        assert_eq!(get(http, "/healthz").await?, (200, "ok".to_owned()));
    }
    broker.database().close().await;
    let (status, body) = get(http, "/readyz").await?;
    assert_eq!((status, body.as_str()), (503, "database: it refused"));
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_plugin_flushes_when_its_work_has_ended() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<Moody>(json!({}))
        .start()
        .await?;
    let moody = broker.services().get::<Moody>()?;
    let database = broker.database().clone();
    broker.stop().await;
    assert!(moody.stopped_after_work.load(Ordering::SeqCst));
    assert!(database.ping().await.is_err(), "closed after a panic too");
    Ok(())
}
