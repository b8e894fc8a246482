use std::sync::Arc;
use std::time::Instant;

use partyline_acl::{Acl, Action, AppRule, AppRules, Effect};
use partyline_protocol::AppKey;
use partyline_testkit::{ConnectOptions, PATIENCE, RawClient, TestBroker, Version};
use serde_json::{Value, json};

use crate::door::Door;

const APP: &str = "0123456789abcdef01234567";
const OTHER_APP: &str = "76543210fedcba9876543210";
const NOT_AUTHORIZED: u8 = 0x87;

/// A broker whose operator denies `operator/#` to all.
async fn broker() -> TestBroker {
    let operator = json!({
        "rules": [{ "effect": "deny", "action": "all", "topic": "operator/#" }],
        "poll_ms": 10,
    });
    broker_with(operator, json!({}), None).await
}

async fn broker_with(acl: Value, door: Value, folder: Option<tempfile::TempDir>) -> TestBroker {
    let mut builder = TestBroker::builder();
    if let Some(folder) = folder {
        builder = builder.folder(folder);
    }
    let builder = builder.plugin::<Door>(door).plugin::<Acl>(acl);
    builder.start().await.unwrap()
}

fn rules_of(broker: &TestBroker) -> Arc<AppRules> {
    broker.services().get::<AppRules>().unwrap()
}

fn app() -> AppKey {
    AppKey::parse(APP).unwrap()
}

fn rule(effect: Effect, topic: &str) -> AppRule {
    AppRule {
        effect,
        action: Action::All,
        topic: topic.to_owned(),
        user: None,
    }
}

fn allow(topic: &str) -> AppRule {
    rule(Effect::Allow, topic)
}

fn deny(topic: &str) -> AppRule {
    rule(Effect::Deny, topic)
}

async fn client(broker: &TestBroker, id: &str, name: &str) -> RawClient {
    let options = ConnectOptions::new(Version::V5, id).login(name, "x");
    broker.client(options).await.unwrap()
}

async fn server(broker: &TestBroker) -> RawClient {
    client(broker, "server", &format!("{APP}/$service")).await
}

/// The reason of the PUBACK.
async fn publish(client: &mut RawClient, topic: &str) -> u8 {
    let id = client.publish(topic, "x", 1, false).await.unwrap();
    client.acked(4, id).await.unwrap()
}

/// Publishes until the answer is the wanted one.
async fn until_published(client: &mut RawClient, topic: &str, wanted: u8) {
    let began = Instant::now();
    while publish(client, topic).await != wanted {
        assert!(began.elapsed() < PATIENCE, "{topic} is not {wanted:#04x}");
    }
}

/// Publishes by the server until the client hears no more of it; then it hears of nothing later.
async fn until_unheard(server: &mut RawClient, client: &mut RawClient, topic: &str) {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "{topic} is still heard");
        let id = server.publish(topic, "x", 1, false).await.unwrap();
        assert_eq!(server.acked(4, id).await.unwrap(), 0);
        client.ping().await.unwrap();
        client.ping().await.unwrap();
        if client.unasked().next().is_none() {
            break;
        }
        client.take(topic).await.unwrap();
    }
    assert_eq!(publish(server, topic).await, 0);
    client.quiet().await.unwrap();
}

#[tokio::test]
async fn an_apps_rules_open_and_close_its_topics() {
    let broker = broker().await;
    let rules = rules_of(&broker);
    let mut device = client(&broker, "d", APP).await;
    let mut elsewhere = client(&broker, "d", OTHER_APP).await;
    assert_eq!(publish(&mut device, "a").await, NOT_AUTHORIZED);
    assert_eq!(
        device.subscribe(&[("a", 1)]).await.unwrap(),
        [NOT_AUTHORIZED]
    );

    let open = vec![
        deny("a/no"),
        allow("a/#"),
        allow("operator/#"),
        allow("home/%u/#"),
    ];
    rules.set(&app(), open).await.unwrap();
    until_published(&mut device, "a", 0).await;
    assert_eq!(publish(&mut device, "a/no").await, NOT_AUTHORIZED);
    let codes = device.subscribe(&[("a/b", 1), ("a/#", 1), ("operator/x", 1), ("home/+/x", 1)]);
    let codes = codes.await.unwrap();
    let no = NOT_AUTHORIZED;
    assert_eq!(codes, [1, no, no, no]);
    assert_eq!(publish(&mut elsewhere, "a").await, NOT_AUTHORIZED);

    // `%u` is nobody on a device alone, whatever the topic says.
    for topic in ["home//x", "home/x", "home/anna/x"] {
        assert_eq!(publish(&mut device, topic).await, NOT_AUTHORIZED, "{topic}");
    }
    let mut anna = client(&broker, "phone", &format!("{APP}/anna")).await;
    assert_eq!(publish(&mut anna, "home/anna/x").await, 0);
    assert_eq!(publish(&mut anna, "home/bert/x").await, NOT_AUTHORIZED);

    rules.set(&app(), Vec::new()).await.unwrap();
    until_published(&mut device, "a", NOT_AUTHORIZED).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_subscription_that_is_no_longer_allowed_ends() {
    let broker = broker().await;
    let rules = rules_of(&broker);
    rules.set(&app(), vec![allow("#")]).await.unwrap();
    let mut device = client(&broker, "d", APP).await;
    until_published(&mut device, "a", 0).await;
    let granted = device.subscribe(&[("a", 1), ("a/#", 1), ("b/#", 1)]).await;
    assert_eq!(granted.unwrap(), [1, 1, 1]);
    let mut server = server(&broker).await;

    rules.add(&app(), deny("a"), Some(1)).await.unwrap();
    until_unheard(&mut server, &mut device, "a").await;
    // What the rule does not touch goes on; `a/#` it overlaps.
    assert_eq!(publish(&mut server, "a/c").await, 0);
    assert_eq!(publish(&mut server, "b/c").await, 0);
    device.take("b/c").await.unwrap();
    device.quiet().await.unwrap();
    // And it does not come back by itself.
    rules.remove(&app(), 1).await.unwrap();
    until_published(&mut device, "a", 0).await;
    device.quiet().await.unwrap();
    assert_eq!(device.subscribe(&[("a", 1)]).await.unwrap(), [1]);
    assert_eq!(publish(&mut server, "a").await, 0);
    device.take("a").await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn a_session_without_its_client_is_checked_too() {
    let broker = broker().await;
    let rules = rules_of(&broker);
    rules.set(&app(), vec![allow("#")]).await.unwrap();
    let kept = ConnectOptions::new(Version::V5, "kept")
        .login(APP, "x")
        .persistent(600);
    let mut device = broker.client(kept.clone()).await.unwrap();
    until_published(&mut device, "a", 0).await;
    let granted = device.subscribe(&[("a", 1), ("b", 1)]).await.unwrap();
    assert_eq!(granted, [1, 1]);
    device.disconnect(0).await.unwrap();
    let mut server = server(&broker).await;
    assert_eq!(publish(&mut server, "a").await, 0);

    // Denied and allowed again while it is away: what came before and meanwhile is not for it.
    let mut watcher = client(&broker, "watcher", APP).await;
    watcher.subscribe(&[("a", 1)]).await.unwrap();
    rules.add(&app(), deny("a"), Some(1)).await.unwrap();
    until_unheard(&mut server, &mut watcher, "a").await;
    // The session with the later name may be asked later than the watcher: its turn has come when
    // the next change is in force.
    rules.remove(&app(), 1).await.unwrap();
    until_published(&mut watcher, "a", 0).await;
    assert_eq!(publish(&mut server, "b").await, 0);

    let mut device = RawClient::open(broker.addresses().mqtt, Version::V5)
        .await
        .unwrap();
    let connack = device.connect(&kept).await.unwrap();
    assert!(connack.session_present);
    device.take("b").await.unwrap();
    device.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn rules_outlive_the_broker_and_those_of_deleted_apps_do_not() {
    let broker = broker().await;
    let other = AppKey::parse(OTHER_APP).unwrap();
    rules_of(&broker)
        .set(&app(), vec![allow("a")])
        .await
        .unwrap();
    rules_of(&broker)
        .set(&other, vec![allow("a")])
        .await
        .unwrap();
    let folder = broker.stop().await;

    let gone = json!({ "gone": [OTHER_APP] });
    let broker = broker_with(json!({ "poll_ms": 10 }), gone, Some(folder)).await;
    let rules = rules_of(&broker);
    let mut device = client(&broker, "d", APP).await;
    assert_eq!(
        publish(&mut device, "a").await,
        0,
        "in force from the start"
    );
    let mut elsewhere = client(&broker, "d", OTHER_APP).await;
    until_published(&mut elsewhere, "a", NOT_AUTHORIZED).await;
    assert_eq!(rules.list(&other).await.unwrap(), []);
    assert_eq!(rules.list(&app()).await.unwrap(), [allow("a")]);
    broker.stop().await;
}

#[tokio::test]
async fn a_reload_changes_the_operators_rules() {
    let broker = broker().await;
    let rules = rules_of(&broker);
    rules.set(&app(), vec![allow("#")]).await.unwrap();
    let mut device = client(&broker, "d", APP).await;
    until_published(&mut device, "a", 0).await;
    assert_eq!(
        device.subscribe(&[("a", 1), ("b", 1)]).await.unwrap(),
        [1, 1]
    );
    let mut server = server(&broker).await;

    let bad = json!({ "rules": [{ "effect": "deny", "action": "all", "topic": "a+" }] });
    let refused = broker.reload(json!({ "acl": bad })).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(publish(&mut device, "a").await, 0);
    device.take("a").await.unwrap();

    let closed = json!({ "rules": [{ "effect": "deny", "action": "all", "topic": "a" }] });
    broker.reload(json!({ "acl": closed })).await.unwrap();
    // When it returns, all of it is in force, also for what was granted before.
    assert_eq!(publish(&mut device, "a").await, NOT_AUTHORIZED);
    assert_eq!(publish(&mut device, "operator/x").await, 0);
    assert_eq!(publish(&mut server, "a").await, 0);
    device.quiet().await.unwrap();
    assert_eq!(publish(&mut server, "b").await, 0);
    device.take("b").await.unwrap();
    broker.stop().await;
}
