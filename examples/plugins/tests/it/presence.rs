use partyline_examples::Presence;
use partyline_testkit::{Backend, RawClient, ScratchDatabase, TestBroker};
use serde_json::json;

use crate::{broker, builder, client};

/// Waits until presence says so; returns how often it said something else before.
async fn until(watcher: &mut RawClient, topic: &str, online: bool) -> usize {
    for others in 0..100 {
        let message = watcher.take(topic).await.unwrap();
        if message.json().unwrap()["online"] == online {
            return others;
        }
    }
    panic!("{topic} never says {online}");
}

async fn watcher(broker: &TestBroker) -> RawClient {
    let mut watcher = client(broker, "watcher").await;
    watcher.subscribe(&[("presence/#", 1)]).await.unwrap();
    until(&mut watcher, "presence/watcher", true).await;
    watcher
}

/// What a client hears that asks now.
async fn retained(broker: &TestBroker, topic: &str) -> bool {
    let mut late = client(broker, "late").await;
    late.subscribe(&[(topic, 1)]).await.unwrap();
    let message = late.take(topic).await.unwrap();
    assert!(message.retain);
    message.json().unwrap()["online"].as_bool().unwrap()
}

#[tokio::test]
async fn who_comes_and_goes_is_told_and_kept() {
    let broker = broker::<Presence>(json!({})).await;
    let mut watcher = watcher(&broker).await;
    let anna = client(&broker, "anna").await;
    assert_eq!(until(&mut watcher, "presence/anna", true).await, 0);
    assert!(retained(&broker, "presence/anna").await);
    anna.disconnect(0).await.unwrap();
    assert_eq!(until(&mut watcher, "presence/anna", false).await, 0);
    assert!(!retained(&broker, "presence/anna").await);
    // A lost connection too.
    drop(client(&broker, "bert").await);
    until(&mut watcher, "presence/bert", false).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_takeover_is_not_a_departure() {
    let broker = broker::<Presence>(json!({})).await;
    let mut watcher = watcher(&broker).await;
    let mut old = client(&broker, "anna").await;
    assert_eq!(until(&mut watcher, "presence/anna", true).await, 0);
    for _ in 0..10 {
        let new = client(&broker, "anna").await;
        old.closed().await.unwrap();
        assert_eq!(until(&mut watcher, "presence/anna", true).await, 0);
        old = new;
    }
    assert!(retained(&broker, "presence/anna").await);
    old.disconnect(0).await.unwrap();
    assert_eq!(until(&mut watcher, "presence/anna", false).await, 0);
    broker.stop().await;
}

#[tokio::test]
async fn a_client_id_stays_within_its_level() {
    let broker = broker::<Presence>(json!({})).await;
    let mut watcher = watcher(&broker).await;
    let _odd = client(&broker, "a/+#%").await;
    until(&mut watcher, "presence/a%2F%2B%23%25", true).await;
    broker.stop().await;
}

async fn who_was_here_is_gone_after_a_restart(backend: Backend) {
    let database = ScratchDatabase::create(backend).await.unwrap();
    let broker = builder::<Presence>(json!({}))
        .database(database.url())
        .start()
        .await
        .unwrap();
    let mut watcher_before = watcher(&broker).await;
    let _anna = client(&broker, "anna").await;
    until(&mut watcher_before, "presence/anna", true).await;

    let broker = broker.restart().await.unwrap();
    let mut watcher = client(&broker, "watcher").await;
    watcher.subscribe(&[("presence/#", 1)]).await.unwrap();
    until(&mut watcher, "presence/anna", false).await;
    until(&mut watcher, "presence/watcher", true).await;
    broker.stop().await;
    database.discard().await.unwrap();
}

#[tokio::test]
async fn who_was_here_is_gone_after_a_restart_on_sqlite() {
    who_was_here_is_gone_after_a_restart(Backend::Sqlite).await;
}

#[tokio::test]
async fn who_was_here_is_gone_after_a_restart_on_postgres() {
    who_was_here_is_gone_after_a_restart(Backend::Postgres).await;
}

mod conformance {
    use super::*;

    partyline_testkit::conformance!(partyline_testkit::Conformance::<Presence>::new(json!({})));
}
