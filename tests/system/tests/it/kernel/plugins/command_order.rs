//! Commands that take their time: order, connections that end meanwhile, and time limits.

use partyline_testkit::{Packet, Version};
use serde_json::json;

use super::super::{VERSIONS, by_version, client, connect, kept};
use super::{REPLY, demo_broker};

fn gate(name: &str) -> String {
    json!({"id": name, "name": name}).to_string()
}

/// [MQTT-4.6.0-2]
#[tokio::test]
async fn acknowledgements_keep_the_order_of_arrival_and_replies_need_not() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let names = ["a", "b", "c"];
        let mut ids = Vec::new();
        for name in names {
            ids.push(client.publish("$x/demo/gate", gate(name), 1, false).await?);
        }
        ids.push(client.publish("plain", "x", 1, false).await?);
        for name in names {
            demo.entered(name).await;
        }
        assert_eq!(
            std::mem::take(&mut *demo.began.lock()),
            names,
            "they begin in order"
        );
        for name in names.into_iter().rev() {
            client.quiet().await?;
            demo.open(name);
            let reply = client.publish_on(REPLY).await?;
            assert_eq!(reply.json()?["id"], name);
        }
        for id in ids {
            assert_eq!(client.next().await?, Packet::Ack(4, id, 0));
        }
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_slow_command_holds_up_nothing_but_acknowledgements() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let slow = client
            .publish("$x/demo/gate", gate("slow"), 2, false)
            .await?;
        assert_eq!(client.subscribe(&[("a", 1)]).await?, [1]);
        let plain = client.publish("a", "x", 1, false).await?;
        assert_eq!(client.take("a").await?.payload, "x");
        client.quiet().await?;
        demo.open("slow");
        client.publish_on(REPLY).await?;
        assert_eq!(client.next().await?, Packet::Ack(5, slow, 0));
        assert_eq!(client.next().await?, Packet::Ack(4, plain, 0));
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn no_more_commands_run_than_the_window_allows() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.in_flight = 2).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        for name in ["a", "b", "c"] {
            client.publish("$x/demo/gate", gate(name), 1, false).await?;
        }
        demo.entered("b").await;
        demo.open("b");
        // The answer to the second is there, but the first still holds the window.
        assert_eq!(client.publish_on(REPLY).await?.json()?["id"], "b");
        assert_eq!(std::mem::take(&mut *demo.began.lock()), ["a", "b"]);
        demo.open("a");
        demo.entered("c").await;
        demo.open("c");
        for _ in 0..2 {
            client.publish_on(REPLY).await?;
        }
        demo.entered("a").await;
        demo.began.lock().clear();
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_command_that_takes_too_long_closes_without_an_acknowledgement() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.command_timeout = 1).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client
            .publish("$x/demo/gate", gate("late"), 1, false)
            .await?;
        if version == Version::V5 {
            let Packet::Disconnect(reason, _) = client.next().await? else {
                panic!("no DISCONNECT")
            };
            assert_eq!(reason, 0x83);
        }
        assert_eq!(client.next().await?, Packet::Closed);
        // It is not dropped half-way.
        demo.open("late");
        demo.left("late").await;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_command_is_finished_though_its_connection_is_gone() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = broker.client(kept(version, "one")).await?;
        client
            .publish("$x/demo/gate", gate("orphan"), 1, false)
            .await?;
        demo.entered("orphan").await;
        drop(client);
        // The next connection of the session gets neither the reply nor the acknowledgement.
        let (mut client, _) = connect(&broker, &kept(version, "one")).await;
        demo.open("orphan");
        demo.left("orphan").await;
        client.quiet().await?;
        client.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_stop_waits_for_commands_and_acknowledges_them() -> anyhow::Result<()> {
    for version in VERSIONS {
        let (broker, demo) = demo_broker(|_| {}).await?;
        let mut client = client(&broker, version, "one").await;
        let id = client
            .publish("$x/demo/gate", gate("last"), 1, false)
            .await?;
        demo.entered("last").await;
        let mut witness = super::super::client(&broker, version, "witness").await;
        let stopping = broker.stop();
        let talking = async {
            // Who waits for nothing is let go at once.
            witness.closed().await?;
            demo.open("last");
            assert_eq!(client.publish_on(REPLY).await?.json()?["id"], "last");
            assert_eq!(client.acked(4, id).await?, 0);
            if version == Version::V5 {
                assert_eq!(client.disconnected().await?, 0x8b);
            }
            client.closed().await
        };
        let (_, talked) = tokio::join!(stopping, talking);
        talked?;
    }
    Ok(())
}

/// The client repeats what was not acknowledged; the broker is still at it.
#[tokio::test]
async fn a_qos_2_command_repeated_on_the_next_connection_runs_once() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = broker.client(kept(version, "one")).await?;
        let once = gate("once");
        let send = async |client: &mut partyline_testkit::RawClient, dup| {
            client
                .send_publish(7, "$x/demo/gate", once.as_bytes(), 2, false, dup, &[])
                .await
        };
        send(&mut client, false).await?;
        demo.entered("once").await;
        let (mut client, _) = connect(&broker, &kept(version, "one")).await;
        send(&mut client, true).await?;
        client.ping().await?;
        demo.open("once");
        assert_eq!(client.publish_on(REPLY).await?.json()?["id"], "once");
        assert_eq!(client.acked(5, 7).await?, 0);
        client.ack(6, 7).await?;
        assert_eq!(client.acked(7, 7).await?, 0);
        assert_eq!(std::mem::take(&mut *demo.began.lock()), ["once"]);
        // The packet id is free: a new message with it is not taken for the old one.
        demo.open("once");
        send(&mut client, false).await?;
        assert_eq!(client.publish_on(REPLY).await?.json()?["id"], "once");
        assert_eq!(client.acked(5, 7).await?, 0);
        client.ack(6, 7).await?;
        assert_eq!(client.acked(7, 7).await?, 0);
        assert_eq!(std::mem::take(&mut *demo.began.lock()), ["once"]);
        demo.entered("once").await;
        client.quiet().await?;
        client.disconnect(0).await?;
        super::super::client(&broker, version, "one")
            .await
            .disconnect(0)
            .await?;
    }
    broker.stop().await;
    Ok(())
}

/// Commands of earlier connections go on, and count.
#[tokio::test]
async fn reconnecting_does_not_start_commands_without_bound() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.in_flight = 2).await?;
    for version in VERSIONS {
        for name in ["a", "b"] {
            let mut client = client(&broker, version, "one").await;
            client.publish("$x/demo/gate", gate(name), 1, false).await?;
            demo.entered(name).await;
        }
        let mut client = client(&broker, version, "one").await;
        let (reply, reason) = super::request(&mut client, "gate", &json!({"name": "c"})).await?;
        assert_eq!(reply["error"]["code"], 870_004);
        assert_eq!(reason, by_version(version, 0x97, 0));
        demo.open("a");
        demo.left("a").await;
        demo.open("c");
        // The count goes down a moment after the command is through.
        let mut tries = 0;
        while super::request(&mut client, "gate", &json!({"name": "c"}))
            .await?
            .0["ok"]
            .is_null()
        {
            tries += 1;
            anyhow::ensure!(tries < 50, "there is no room again");
        }
        demo.open("b");
        demo.left("b").await;
    }
    broker.stop().await;
    Ok(())
}
