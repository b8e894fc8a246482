//! What the broker tells of its plugins.

use partyline_system_tests::OpenDoor;
use partyline_testkit::{TestBroker, Version};
use serde_json::{Value, json};

use super::super::client;
use super::demo::Demo;
use super::sieve::Sieve;

async fn broker() -> anyhow::Result<TestBroker> {
    TestBroker::builder()
        .plugin::<Sieve>(json!({}))
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .start()
        .await
}

fn described(broker: &TestBroker) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(broker.describe())?)
}

/// The hooks of this point with this scope.
fn hooks<'a>(chain: &'a Value, point: &str, scope: &str) -> Vec<&'a Value> {
    let all = chain["hooks"].as_array().into_iter().flatten();
    all.filter(|hook| hook["point"] == point && hook["scope"].as_str().unwrap_or("") == scope)
        .collect()
}

#[tokio::test]
async fn the_chain_is_told_in_the_order_of_calls() -> anyhow::Result<()> {
    let broker = broker().await?;
    let chain = described(&broker)?;
    let phases: Vec<&str> = hooks(&chain, "publish", "deny/…")
        .iter()
        .filter_map(|hook| hook["phase"].as_str())
        .collect();
    assert_eq!(
        phases,
        [
            "rewrite",
            "authorize",
            "validate",
            "transform",
            "transform",
            "handle"
        ]
    );
    let points: Vec<&str> = chain["hooks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|hook| hook["point"].as_str())
        .collect();
    let at = |point| points.iter().position(|one| *one == point);
    assert_eq!(at("authenticate"), Some(0));
    assert!(at("publish") < at("authorize_publish"), "{points:?}");
    let access = &hooks(&chain, "authorize_publish", "")[0];
    assert_eq!(access["plugin"], "open-door");
    assert_eq!(access["deadline_ms"], 250);
    assert_eq!(access["on_fault"], "deny");
    let namespace = json!({"prefix": "$x/demo/", "plugin": "demo"});
    let namespaces = chain["namespaces"].as_array().expect("a list");
    assert!(namespaces.contains(&namespace));
    let commands = chain["commands"].as_array().expect("a list");
    let echo = json!({"topic": "$x/demo/echo", "reply_topic": "$x/demo/reply", "plugin": "demo"});
    assert!(commands.contains(&echo));
    let outlets = chain["outlets"].as_array().expect("a list");
    let staff =
        json!({"topic": "$x/demo/staff", "qos": 1, "audience": "servers", "plugin": "demo"});
    assert!(outlets.contains(&staff));
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn calls_and_faults_are_counted_and_an_open_breaker_is_seen() -> anyhow::Result<()> {
    let broker = broker().await?;
    let mut client = client(&broker, Version::V5, "one").await;
    for action in ["next", "error", "panic", "hang", "error", "error", "next"] {
        let topic = format!("deny/validate/{action}");
        client.publish_done(&topic, "x", 1, false).await?;
    }
    let chain = described(&broker)?;
    let validate = hooks(&chain, "publish", "deny/…")
        .into_iter()
        .find(|hook| hook["phase"] == "validate")
        .expect("it is there");
    for (counter, expected) in [
        ("calls", 6),
        ("errors", 3),
        ("panics", 1),
        ("timeouts", 1),
        ("withheld", 1),
    ] {
        assert_eq!(validate[counter], expected, "{counter}");
    }
    assert_eq!(validate["breaker_open"], true);
    let latency = validate["latency"].as_array().expect("buckets");
    let calls: u64 = latency
        .iter()
        .filter_map(|bucket| bucket["calls"].as_u64())
        .sum();
    assert_eq!(calls, 6);
    let rewrite = hooks(&chain, "publish", "deny/…")[0];
    assert_eq!(
        (&rewrite["calls"], &rewrite["breaker_open"]),
        (&json!(7), &json!(false))
    );
    broker.stop().await;
    Ok(())
}
