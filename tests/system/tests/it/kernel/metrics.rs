//! `/metrics` counts what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, AuthorizePublish, FilterOptions, HookResult, Message, Meter, OnFault, Plugin,
    PluginContext, Registrar, SessionInfo,
};
use partyline_system_tests::{OTHER_APP, OpenDoor, http_get};
use partyline_testkit::{ConnectOptions, RawClient, TestBroker, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{VERSIONS, broker, broker_with, client, connect, kept};

/// Every sample of `/metrics`, by its name with labels.
async fn scrape(broker: &TestBroker) -> anyhow::Result<BTreeMap<String, String>> {
    let reply = http_get(broker.addresses().http, "/metrics").await?;
    assert_eq!(reply.status, 200);
    assert!(
        reply
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let samples = reply.body.lines().filter(|line| !line.starts_with('#'));
    let names = reply
        .body
        .lines()
        .filter(|line| line.starts_with("# TYPE "));
    let names: Vec<&str> = names.filter_map(|line| line.split(' ').nth(2)).collect();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), unique.len(), "{names:?}");
    let pairs = samples.map(|line| line.rsplit_once(' ').expect("a name and a value"));
    let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let owned: Vec<_> = owned.collect();
    let samples: BTreeMap<_, _> = owned.iter().cloned().collect();
    assert_eq!(samples.len(), owned.len(), "each stands once: {owned:#?}");
    Ok(samples)
}

fn number(samples: &BTreeMap<String, String>, name: &str) -> anyhow::Result<u64> {
    let value = samples.get(&format!("partyline_{name}"));
    Ok(value.context("no such sample")?.parse()?)
}

/// Asserts that these samples have these values; one that is missing counts as 0.
#[track_caller]
fn assert_samples(samples: &BTreeMap<String, String>, expected: &[(&str, u32)]) {
    for (name, value) in expected {
        let sample = samples.get(&format!("partyline_{name}"));
        let sample = sample.map_or("0", String::as_str);
        assert_eq!(sample, value.to_string(), "{name} in {samples:#?}");
    }
}

#[tokio::test]
async fn packets_and_messages_are_counted_by_qos() -> anyhow::Result<()> {
    for version in VERSIONS {
        let broker = broker().await;
        let mut one = client(&broker, version, "one").await;
        let mut other = client(&broker, version, "other").await;
        other.subscribe(&[("a", 2), ("+/#", 1)]).await?;
        for (qos, times) in [(0, 1), (1, 2), (2, 3)] {
            for _ in 0..times {
                one.publish_done("a", [qos], qos, false).await?;
                other.take("a").await?;
            }
        }
        one.publish_done("kept/1", "12345", 1, true).await?;
        one.publish_done("kept/2", "12345", 1, true).await?;
        one.publish_done("kept/1", "", 0, true).await?;
        one.publish_done("secret/x", "x", 1, false).await?;
        for topic in ["kept/1", "kept/2", "kept/1"] {
            other.take(topic).await?;
        }
        one.quiet().await?;
        other.quiet().await?;
        let samples = scrape(&broker).await?;
        assert_samples(
            &samples,
            &[
                ("connections_accepted_total{listener=\"mqtt\"}", 2),
                ("connects_total", 2),
                ("connect_seconds_count", 2),
                ("connections", 2),
                ("sessions{state=\"attached\"}", 2),
                ("sessions{state=\"detached\"}", 0),
                ("apps", 1),
                ("subscriptions", 2),
                ("messages_received_total{qos=\"0\"}", 2),
                ("messages_received_total{qos=\"1\"}", 5),
                ("messages_received_total{qos=\"2\"}", 3),
                ("messages_sent_total{qos=\"0\"}", 2),
                ("messages_sent_total{qos=\"1\"}", 4),
                ("messages_sent_total{qos=\"2\"}", 3),
                ("retained_messages", 1),
                ("publishes_refused_total{reason=\"not_authorized\"}", 1),
                ("messages_dropped_total{cause=\"queue_full\"}", 0),
            ],
        );
        assert!(number(&samples, "retained_bytes")? >= 5);
        assert!(samples.contains_key(concat!(
            "partyline_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"}"
        )));
        // CONNECT 2, SUBSCRIBE 1, PUBLISH 10, PUBREL 3, and the answers to what was sent.
        let received = number(&samples, "packets_received_total")?;
        assert!(received >= 16 + 4 + 2 * 3, "{received}");
        broker.stop().await;
    }
    Ok(())
}

/// Every packet and every byte of one short life, both ways.
#[tokio::test]
async fn bytes_and_packets_are_what_went_over_the_wire() -> anyhow::Result<()> {
    let broker = broker().await;
    let mut one = RawClient::open(broker.addresses().mqtt, Version::V311).await?;
    one.send_bytes(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")
        .await?;
    one.next().await?;
    one.send_bytes(b"\x82\x06\x00\x01\x00\x01a\x00").await?;
    one.next().await?;
    // The second PINGREQ comes when the answer to the first is written and counted.
    one.send_bytes(b"\x30\x05\x00\x01a12").await?;
    one.next().await?;
    one.ping().await?;
    one.ping().await?;
    let samples = scrape(&broker).await?;
    assert_samples(
        &samples,
        &[
            ("bytes_received_total", 15 + 8 + 7 + 4),
            ("packets_received_total", 5),
            ("packets_sent_total", 5),
        ],
    );
    let sent = number(&samples, "bytes_sent_total")?;
    // The last answer may not be counted yet.
    let expected = [4 + 5 + 7 + 2, 4 + 5 + 7 + 4];
    assert!(expected.contains(&sent), "{sent}");
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn refusals_are_counted_by_reason() -> anyhow::Result<()> {
    let broker = broker_with(|config| {
        config.limits.connections = 1;
        config.mqtt.connect_timeout = 1;
    })
    .await;
    let mut silent = RawClient::open(broker.addresses().mqtt, Version::V5).await?;
    let mut one_too_many = RawClient::open(broker.addresses().mqtt, Version::V5).await?;
    one_too_many.closed().await?;
    silent.closed().await?;
    assert_samples(
        &scrape(&broker).await?,
        &[
            ("connects_refused_total{reason=\"connection_limit\"}", 1),
            ("connects_refused_total{reason=\"timeout\"}", 1),
        ],
    );
    broker.stop().await;

    let broker = super::broker().await;
    let wrong = ConnectOptions::new(Version::V311, "one").login("no app key", "x");
    let (_, connack) = connect(&broker, &wrong).await;
    assert_eq!(connack.code, 4);
    let mut garbled = RawClient::open(broker.addresses().mqtt, Version::V5).await?;
    garbled.send_bytes(b"GET / HTTP/1.1\r\n\r\n").await?;
    garbled.closed().await?;
    let mut web = RawClient::open(broker.addresses().ws, Version::V5).await?;
    web.send_bytes(b"GET / HTTP/1.0\r\n\r\n").await?;
    while web.closed().await.is_err() {}
    let mut first = client(&broker, Version::V5, "one").await;
    let _second = client(&broker, Version::V5, "one").await;
    assert_eq!(first.disconnected().await?, 0x8e);
    assert_samples(
        &scrape(&broker).await?,
        &[
            ("connects_total", 2),
            (
                "connects_refused_total{reason=\"bad_user_name_or_password\"}",
                1,
            ),
            ("connects_refused_total{reason=\"no_connect\"}", 1),
            ("connects_refused_total{reason=\"handshake\"}", 1),
            ("disconnects_total{reason=\"session_taken_over\"}", 1),
            ("connections_accepted_total{listener=\"ws\"}", 1),
        ],
    );
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn sessions_subscriptions_and_drops_come_and_go() -> anyhow::Result<()> {
    let broker = broker_with(|config| config.limits.queued_messages = 2).await;
    let (mut away, _) = connect(&broker, &kept(Version::V5, "away")).await;
    away.subscribe(&[("a", 1), ("b/#", 1)]).await?;
    away.subscribe(&[("a", 0), ("a", 1)]).await?;
    away.unsubscribe(&["b/#", "never"]).await?;
    away.disconnect(0).await?;
    let mut one = client(&broker, Version::V5, "one").await;
    one.subscribe(&[("c", 0), ("$share/g/a/b", 0), ("$share/g/d", 0)])
        .await?;
    one.subscribe(&[("$share/g/d", 1)]).await?;
    one.unsubscribe(&["$share/g/d", "$share/h/d"]).await?;
    for _ in 0..5 {
        one.publish_done("a", "x", 1, false).await?;
    }
    assert_samples(
        &scrape(&broker).await?,
        &[
            ("sessions{state=\"attached\"}", 1),
            ("sessions{state=\"detached\"}", 1),
            ("subscriptions", 3),
            ("messages_dropped_total{cause=\"queue_full\"}", 3),
        ],
    );
    // A clean start puts another session in its place, and what it had goes.
    let (again, _) = connect(&broker, &ConnectOptions::new(Version::V5, "away")).await;
    let samples = scrape(&broker).await?;
    assert_samples(
        &samples,
        &[
            ("sessions{state=\"attached\"}", 2),
            ("sessions{state=\"detached\"}", 0),
            ("subscriptions", 2),
        ],
    );
    again.disconnect(0).await?;
    assert_samples(
        &scrape(&broker).await?,
        &[
            ("sessions{state=\"attached\"}", 1),
            ("sessions{state=\"detached\"}", 0),
        ],
    );
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn apps_are_summed() -> anyhow::Result<()> {
    let broker = broker().await;
    let elsewhere = ConnectOptions::new(Version::V5, "one").login(OTHER_APP, "");
    let (mut theirs, _) = connect(&broker, &elsewhere).await;
    let mut ours = client(&broker, Version::V5, "one").await;
    theirs.publish_done("a", "x", 1, false).await?;
    ours.publish_done("a", "x", 1, false).await?;
    assert_samples(
        &scrape(&broker).await?,
        &[
            ("apps", 2),
            ("connects_total", 2),
            ("messages_received_total{qos=\"1\"}", 2),
        ],
    );
    broker.stop().await;
    Ok(())
}

/// A plugin that counts itself.
struct Counting {
    meter: Meter,
}

#[derive(Serialize, Deserialize)]
struct Nothing {}

#[async_trait]
impl Plugin for Counting {
    const ID: &'static str = "counting-one";
    type Config = Nothing;

    async fn build(cx: PluginContext, _: Nothing) -> anyhow::Result<Self> {
        Ok(Self { meter: cx.meter })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let skipped = FilterOptions::default().on_fault(OnFault::Skip);
        registrar
            .provides(Arc::clone(self))
            .authorize_publish(skipped, self.clone());
    }
}

#[async_trait]
impl AuthorizePublish for Counting {
    async fn authorize_publish(
        &self,
        _: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict> {
        assert_ne!(message.topic.as_str(), "panic", "on purpose");
        Ok(AccessVerdict::Next)
    }
}

#[tokio::test]
async fn hooks_are_counted_and_timed() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<Counting>(json!({}))
        .plugin::<OpenDoor>(json!({}))
        .start()
        .await?;
    let mut one = client(&broker, Version::V5, "one").await;
    for topic in ["a", "panic", "b"] {
        one.publish_done(topic, "x", 1, false).await?;
    }
    let samples = scrape(&broker).await?;
    let counting = r#"point="authorize_publish",phase="authorize",plugin="counting-one""#;
    for (name, labels, value) in [
        (
            "hook_seconds_count",
            "point=\"authenticate\",phase=\"\",plugin=\"open-door\"",
            1,
        ),
        ("hook_seconds_count", counting, 3),
        ("hook_calls_total", counting, 3),
        ("hook_breakers_open", counting, 0),
    ] {
        assert_samples(&samples, &[(&format!("{name}{{{labels}}}"), value)]);
    }
    for (kind, value) in [("panic", 1), ("error", 0), ("timeout", 0), ("withheld", 0)] {
        let name = format!("hook_faults_total{{{counting},kind=\"{kind}\"}}");
        assert_samples(&samples, &[(&name, value)]);
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_plugins_figures_are_there_under_its_name() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Counting>(json!({}))
        .start()
        .await?;
    let counting = broker.services().get::<Counting>()?;
    counting.meter.counter("messages_sent", "Messages").add(3);
    counting
        .meter
        .gauge("waiting", "Messages that wait")
        .set(-1);
    let samples = scrape(&broker).await?;
    assert_eq!(samples["plugin_counting_one_messages_sent_total"], "3");
    assert_eq!(samples["plugin_counting_one_waiting"], "-1");
    broker.stop().await;
    Ok(())
}
