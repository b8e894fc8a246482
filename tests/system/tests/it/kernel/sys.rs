//! `$SYS/#` for an app's server, and for nobody else.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{Plugin, PluginContext, Registrar};
use partyline_system_tests::{APP, OTHER_APP, OpenDoor};
use partyline_testkit::{ConnectOptions, Packet, RawClient, TestBroker, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{VERSIONS, broker, broker_with, by_version, client, connect, kept};

fn server(version: Version, app: &str) -> ConnectOptions {
    ConnectOptions::new(version, "backend").login(format!("{app}/$service"), "x")
}

/// The values that are there when the answer to a PINGREQ is.
async fn values(client: &mut RawClient) -> anyhow::Result<HashMap<String, String>> {
    client.ping().await?;
    let publishes = client.unasked().filter_map(|packet| match packet {
        Packet::Publish(publish) => {
            assert_eq!((publish.qos, publish.retain), (0, false));
            let value = String::from_utf8_lossy(&publish.payload).into_owned();
            Some((publish.topic.clone(), value))
        }
        _ => None,
    });
    Ok(publishes.collect())
}

async fn value(client: &mut RawClient, topic: &str) -> anyhow::Result<String> {
    let message = client.publish_on(&format!("$SYS/broker/{topic}")).await?;
    Ok(String::from_utf8_lossy(&message.payload).into_owned())
}

#[tokio::test]
async fn the_present_values_come_with_the_subscription() -> anyhow::Result<()> {
    for version in VERSIONS {
        let broker = broker().await;
        let (mut backend, _) = connect(&broker, &server(version, APP)).await;
        let (mut away, _) = connect(&broker, &kept(version, "away")).await;
        away.subscribe(&[("a", 1), ("b/#", 1)]).await?;
        away.disconnect(0).await?;
        let mut one = client(&broker, version, "one").await;
        one.publish_done("kept", "x", 1, true).await?;
        one.publish_done("other", "x", 0, false).await?;
        assert_eq!(backend.subscribe(&[("$SYS/#", 2)]).await?, [0]);
        let values = values(&mut backend).await?;
        for (topic, value) in [
            (
                "version",
                concat!("partyline version ", env!("CARGO_PKG_VERSION")),
            ),
            ("clients/connected", "2"),
            ("clients/disconnected", "1"),
            ("clients/total", "3"),
            ("clients/maximum", "2"),
            ("publish/messages/received", "2"),
            ("publish/messages/dropped", "0"),
            ("subscriptions/count", "2"),
            ("retained messages/count", "1"),
            ("load/connections/1min", "0.00"),
        ] {
            let found = values.get(&format!("$SYS/broker/{topic}"));
            assert_eq!(
                found.map(String::as_str),
                Some(value),
                "{topic} in {values:#?}"
            );
        }
        let number = |topic: &str| values[&format!("$SYS/broker/{topic}")].parse::<u64>();
        assert!(number("bytes/received")? > 0 && number("bytes/sent")? > 0);
        assert!(number("messages/received")? >= 8 && number("messages/sent")? >= 5);
        let uptime = &values["$SYS/broker/uptime"];
        assert!(
            uptime
                .strip_suffix(" seconds")
                .is_some_and(|secs| secs.parse::<u64>().is_ok())
        );
        assert_eq!(values.len(), 15 + 8 * 3, "{values:#?}");
        broker.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn values_come_again_after_each_interval() -> anyhow::Result<()> {
    let broker = broker_with(|config| config.mqtt.sys_interval = 1).await;
    let (mut backend, _) = connect(&broker, &server(Version::V5, APP)).await;
    let filters = [
        ("$SYS/broker/clients/+", 0),
        ("$SYS/broker/load/publish/received/1min", 0),
    ];
    assert_eq!(backend.subscribe(&filters).await?, [0, 0]);
    assert_eq!(value(&mut backend, "clients/connected").await?, "1");
    let mut one = client(&broker, Version::V5, "one").await;
    one.publish_done("a", "x", 1, false).await?;
    while value(&mut backend, "clients/connected").await? != "2" {}
    while value(&mut backend, "load/publish/received/1min").await? == "0.00" {}
    one.disconnect(0).await?;
    while value(&mut backend, "clients/connected").await? != "1" {}
    // What nobody listens to any more comes no more: the other topic goes on without it.
    backend.unsubscribe(&["$SYS/broker/clients/+"]).await?;
    backend.ping().await?;
    let before = backend
        .unasked()
        .filter(|packet| is_clients(packet))
        .count();
    for _ in 0..2 {
        value(&mut backend, "load/publish/received/1min").await?;
    }
    backend.ping().await?;
    assert_eq!(
        backend
            .unasked()
            .filter(|packet| is_clients(packet))
            .count(),
        before
    );
    broker.stop().await;
    Ok(())
}

fn is_clients(packet: &Packet) -> bool {
    matches!(packet, Packet::Publish(publish) if publish.topic.starts_with("$SYS/broker/clients/"))
}

#[tokio::test]
async fn only_servers_may_listen() -> anyhow::Result<()> {
    let filters = [("$SYS/#", 1), ("$SYS/broker/version", 0), ("$SYS/+/+", 0)];
    let broker = broker().await;
    for version in VERSIONS {
        let refused = by_version(version, 0x87, 0x80);
        let mut device = client(&broker, version, "one").await;
        assert_eq!(device.subscribe(&filters).await?, [refused; 3]);
        // Nor does a wildcard of plain topics reach there.
        device
            .subscribe(&[("#", 0), ("+/broker/version", 0)])
            .await?;
        device.quiet().await?;
        // What is not there is refused to servers too.
        let (mut backend, _) = connect(&broker, &server(version, APP)).await;
        assert_eq!(
            backend
                .subscribe(&[("$SYS/nothing", 0), ("$SYS", 0)])
                .await?,
            [refused; 2]
        );
        backend.quiet().await?;
        let published = backend
            .publish_done("$SYS/broker/version", "9", 1, false)
            .await?;
        assert_eq!(published, by_version(version, 0x87, 0));
    }
    broker.stop().await;

    let off = broker_with(|config| config.mqtt.sys_interval = 0).await;
    let (mut backend, _) = connect(&off, &server(Version::V5, APP)).await;
    assert_eq!(backend.subscribe(&[("$SYS/#", 0)]).await?, [0x87]);
    off.stop().await;
    Ok(())
}

/// Nothing that one app does can be seen in another's figures.
#[tokio::test]
async fn an_app_sees_only_itself() -> anyhow::Result<()> {
    let broker = broker().await;
    let (mut theirs, _) = connect(&broker, &server(Version::V5, OTHER_APP)).await;
    theirs.subscribe(&[("$SYS/#", 0)]).await?;
    let before = values(&mut theirs).await?;
    drop(theirs);
    let mut ours = client(&broker, Version::V5, "one").await;
    ours.subscribe(&[("a", 1), ("#", 1)]).await?;
    ours.publish_done("a", "x", 1, true).await?;
    broker.stop().await;

    // The same again, with a busy neighbour.
    let broker = super::broker().await;
    let mut ours = client(&broker, Version::V5, "one").await;
    ours.subscribe(&[("a", 1), ("#", 1)]).await?;
    for _ in 0..10 {
        ours.publish_done("a", "x", 1, true).await?;
    }
    let (mut theirs, _) = connect(&broker, &server(Version::V5, OTHER_APP)).await;
    theirs.subscribe(&[("$SYS/#", 0)]).await?;
    let mut with_neighbour = values(&mut theirs).await?;
    // The one that is the broker's own, and may have moved on.
    with_neighbour.insert(
        "$SYS/broker/uptime".to_owned(),
        before["$SYS/broker/uptime"].clone(),
    );
    assert_eq!(with_neighbour, before);
    broker.stop().await;
    Ok(())
}

struct Thief;

#[derive(Serialize, Deserialize)]
struct Nothing {}

#[async_trait]
impl Plugin for Thief {
    const ID: &'static str = "thief";
    type Config = Nothing;

    async fn build(_: PluginContext, _: Nothing) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.owns("$SYS/broker/mine/");
    }
}

#[tokio::test]
async fn no_plugin_can_own_a_part_of_it() {
    for interval in [0, 10] {
        let started = TestBroker::builder()
            .plugin::<OpenDoor>(json!({}))
            .plugin::<Thief>(json!({}))
            .config(|config| config.mqtt.sys_interval = interval)
            .start();
        let error = format!("{:#}", started.await.unwrap_err());
        assert!(
            error.contains("`thief`") && error.contains("$SYS/"),
            "{error}"
        );
    }
}
