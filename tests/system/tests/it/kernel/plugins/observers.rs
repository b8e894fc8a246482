//! Observers: what they are told, in which order, and that nobody waits for them.

use std::sync::Arc;

use partyline_plugin::{Event, PublishError};
use partyline_system_tests::OpenDoor;
use partyline_testkit::{BrokerConfig, ConnectOptions, TestBroker, Version};
use serde_json::{Value, json};

use super::super::{VERSIONS, by_version, client, connect, kept, tells_presence};
use super::witness::{Second, Witness};

async fn observed(
    config: Value,
    change: impl FnOnce(&mut BrokerConfig),
) -> anyhow::Result<(TestBroker, Arc<Witness>)> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Witness>(config)
        .config(change)
        .start()
        .await?;
    let witness = broker.services().get::<Witness>()?;
    Ok((broker, witness))
}

#[tokio::test]
async fn the_life_of_a_session_is_told_in_its_order() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |_| {}).await?;
    for version in VERSIONS {
        let id = format!("{version:?}");
        let mut one = broker.client(kept(version, &id)).await?;
        one.subscribe(&[("a", 2)]).await?;
        for qos in 0..=2 {
            one.publish_done("a", "x", qos, false).await?;
            one.take("a").await?;
        }
        one.unsubscribe(&["a"]).await?;
        one.disconnect(0).await?;
        let (one, connack) = connect(&broker, &kept(version, &id)).await;
        assert_eq!(connack.session_present, tells_presence(version));
        // The socket closes without a word.
        drop(one);
        for expected in [
            "session_opened",
            "subscribed a 2",
            "published a",
            "delivered a 0",
            "published a",
            "delivered a 1",
            "acked a 0x00",
            "published a",
            "delivered a 2",
            "acked a 0x00",
            "unsubscribed a",
            "session_closed disconnected, kept",
            "session_resumed",
            "session_closed lost, kept",
        ] {
            assert_eq!(witness.next_of(&id).await, expected, "{version:?}");
        }
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_takeover_closes_before_it_opens() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |_| {}).await?;
    for version in VERSIONS {
        let id = format!("{version:?}");
        let _first = broker.client(kept(version, &id)).await?;
        let (_second, _) = connect(&broker, &kept(version, &id)).await;
        let third = client(&broker, version, &id).await;
        third.disconnect(0).await?;
        let (fourth, _) = connect(&broker, &kept(version, &id)).await;
        fourth.disconnect(0).await?;
        // A clean start ends the session that waits.
        let _fifth = client(&broker, version, &id).await;
        for expected in [
            "session_opened",
            "session_closed ended 0x8e, kept",
            "session_resumed",
            "session_closed ended 0x8e",
            "session_opened",
            "session_closed disconnected",
            "session_opened",
            "session_closed disconnected, kept",
            "session_expired",
            "session_opened",
        ] {
            assert_eq!(witness.next_of(&id).await, expected, "{version:?}");
        }
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_refused_connect_and_a_broken_protocol_are_told() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |_| {}).await?;
    for version in VERSIONS {
        let stranger = ConnectOptions::new(version, "stranger").login("no app", "");
        let (_, connack) = connect(&broker, &stranger).await;
        assert_eq!(connack.code, by_version(version, 0x86, 4));
        assert_eq!(witness.next_of("stranger").await, "auth_failed 0x86");
        let mut rude = client(&broker, version, "rude").await;
        // A packet that only servers send.
        let length = usize::from(by_version(version, 3, 2));
        rude.send_packet(0x20, &vec![0; length]).await?;
        rude.closed().await?;
        assert_eq!(witness.next_of("rude").await, "session_opened");
        assert_eq!(
            witness.next_of("rude").await,
            "session_closed error 0x82",
            "{version:?}"
        );
    }
    broker.stop().await;
    Ok(())
}

/// A client id that is no valid one may be as long as a packet: no more than one that could be valid is
/// kept of it.
#[tokio::test]
async fn a_client_id_that_is_refused_is_told_in_part() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |_| {}).await?;
    let id = "x".to_owned() + &"\u{e9}".repeat(10_000);
    let (_, connack) = connect(&broker, &ConnectOptions::new(Version::V5, &id)).await;
    assert_eq!(connack.code, 0x85);
    let Event::AuthFailed { client_id, .. } = witness.next().await else {
        panic!("the first that happens");
    };
    assert_eq!(client_id.len(), 127);
    assert!(id.starts_with(&*client_id));
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_dropped_is_told_with_its_reason() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |config| {
        config.limits.queued_messages = 2;
    })
    .await?;
    for version in VERSIONS {
        let id = format!("{version:?}");
        let mut one = broker.client(kept(version, &id)).await?;
        one.subscribe(&[("a/#", 1)]).await?;
        one.disconnect(0).await?;
        let mut publisher = client(&broker, version, "publisher").await;
        for number in 0..3 {
            publisher
                .publish_done(&format!("a/{number}"), "x", 1, false)
                .await?;
        }
        for expected in [
            "session_opened",
            "subscribed a/# 1",
            "session_closed disconnected, kept",
            "dropped a/2 QueueFull",
        ] {
            assert_eq!(witness.next_of(&id).await, expected);
        }
    }
    let too_large = ConnectOptions::new(Version::V5, "small").property(0x27, &[0, 0, 0, 100][..]);
    let mut small = broker.client(too_large).await?;
    small.subscribe(&[("b", 0)]).await?;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publisher.publish_done("b", [b'x'; 200], 0, false).await?;
    for expected in ["session_opened", "subscribed b 0", "dropped b TooLarge"] {
        assert_eq!(witness.next_of("small").await, expected);
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_slow_observer_holds_nobody_up_and_loses_events() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({"capacity": 4}), |_| {}).await?;
    witness.hold();
    let mut client = client(&broker, Version::V5, "one").await;
    witness.entered().await;
    for _ in 0..20 {
        client.publish_done("a", "x", 1, false).await?;
    }
    let chain = serde_json::to_value(broker.describe())?;
    let observer = &chain["observers"][0];
    assert_eq!(observer["plugin"], "witness");
    assert_eq!(
        (&observer["capacity"], &observer["waiting"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(observer["dropped"], 16);
    witness.release();
    assert_eq!(witness.next_of("one").await, "session_opened");
    for _ in 0..4 {
        assert_eq!(witness.next_of("one").await, "published a");
    }
    client.publish_done("b", "x", 1, false).await?;
    assert_eq!(witness.next_of("one").await, "published b");
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_panic_costs_an_observer_one_event() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |_| {}).await?;
    client(&broker, Version::V5, "panicky")
        .await
        .disconnect(0)
        .await?;
    let _calm = client(&broker, Version::V5, "calm").await;
    assert_eq!(witness.next_of("calm").await, "session_opened");
    let chain = serde_json::to_value(broker.describe())?;
    assert_eq!(chain["observers"][0]["panics"], 2);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_observes_one_kind_is_told_of_no_other() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({"blind": true}), |_| {}).await?;
    let mut client = client(&broker, Version::V5, "one").await;
    client.subscribe(&[("a", 1)]).await?;
    client.publish_done("a", "x", 1, false).await?;
    let stranger = ConnectOptions::new(Version::V5, "stranger").login("no app", "");
    let (_, _) = connect(&broker, &stranger).await;
    assert_eq!(witness.next_of("stranger").await, "auth_failed 0x86");
    broker.stop().await;
    assert_eq!(witness.calls(), 1);
    Ok(())
}

#[tokio::test]
async fn events_that_wait_at_a_stop_are_still_told() -> anyhow::Result<()> {
    let (broker, witness) = observed(json!({}), |_| {}).await?;
    witness.hold();
    let mut client = client(&broker, Version::V5, "one").await;
    witness.entered().await;
    for _ in 0..3 {
        client.publish_done("a", "x", 1, false).await?;
    }
    let releasing = async {
        client.closed().await?;
        witness.release();
        anyhow::Ok(())
    };
    let (_, released) = tokio::join!(broker.stop(), releasing);
    released?;
    let mut expected = vec!["session_opened"];
    expected.extend(["published a"; 3]);
    expected.push("session_closed ended 0x8b");
    assert_eq!(witness.rest().await, expected);
    Ok(())
}

/// Each answers what the other answers.
#[tokio::test]
async fn plugins_that_answer_each_other_come_to_an_end() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Witness>(json!({"answers": true}))
        .plugin::<Second>(json!({"answers": true}))
        .start()
        .await?;
    let first = broker.services().get::<Witness>()?;
    let second = broker.services().get::<Second>()?;
    let mut client = client(&broker, Version::V5, "one").await;
    client.subscribe(&[("ping", 0)]).await?;
    client.publish_done("ping", "x", 1, false).await?;
    assert_eq!(client.publish_on("ping").await?.payload, "x");
    // Both answer the client, and then each the other's answers, four deep.
    for _ in 0..8 {
        assert_eq!(client.publish_on("ping").await?.payload, "pong");
    }
    client.quiet().await?;
    broker.stop().await;
    for witness in [&first, &second.0] {
        assert_eq!(*witness.refused.lock(), [PublishError::TooManyHops]);
        // The client's, and the other's: never its own.
        let seen = witness.rest().await;
        let published = seen.iter().filter(|event| *event == "published ping");
        assert_eq!(published.count(), 5);
    }
    Ok(())
}
