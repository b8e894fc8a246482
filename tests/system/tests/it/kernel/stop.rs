//! Stopping: in order, and in bounded time.

use std::time::{Duration, Instant};

use partyline_testkit::{Packet, RawClient, TestBroker, Version};
use serde_json::json;

use super::plugins::Demo;
use super::{VERSIONS, broker, broker_with, client, connect, kept};

/// Far longer than a stop takes that waits for nothing, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(30);
/// The grace of a stop that must not wait it out.
const LONG: u16 = 60;

#[tokio::test]
async fn every_client_is_told_and_closed() {
    let broker = broker().await;
    let address = broker.addresses().mqtt;
    let mut clients = Vec::new();
    for version in VERSIONS {
        clients.push((
            version,
            client(&broker, version, &format!("{version:?}")).await,
        ));
    }
    broker.stop().await;
    for (version, mut client) in clients {
        if version == Version::V5 {
            assert!(matches!(
                client.next().await.unwrap(),
                Packet::Disconnect(0x8b, _)
            ));
        }
        assert_eq!(client.next().await.unwrap(), Packet::Closed);
    }
    assert!(
        RawClient::open(address, Version::V5).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn what_was_queued_goes_out_first() {
    let broker = broker().await;
    let mut subscribers = Vec::new();
    for version in VERSIONS {
        let mut subscriber = client(&broker, version, &format!("{version:?}")).await;
        subscriber.subscribe(&[("a", 1)]).await.unwrap();
        subscribers.push(subscriber);
    }
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for number in 0..50 {
        publisher
            .publish_done("a", [number], 1, false)
            .await
            .unwrap();
    }
    broker.stop().await;
    for mut subscriber in subscribers {
        for number in 0..50 {
            assert_eq!(
                &subscriber.publish_on("a").await.unwrap().payload[..],
                &[number]
            );
        }
        subscriber.closed().await.unwrap();
    }
}

/// Sockets that are not yet connections have nothing to lose.
#[tokio::test]
async fn sockets_without_a_connect_are_not_waited_for() {
    let broker = broker_with(|config| config.mqtt.stop_grace = LONG).await;
    let addresses = broker.addresses();
    let mut idle = Vec::new();
    for address in [addresses.mqtt, addresses.ws] {
        for bytes in [&b""[..], b"\x10\x20\x00\x04MQTT", b"GET / HTTP/1.1\r\n"] {
            let mut client = RawClient::open(address, Version::V5).await.unwrap();
            client.send_bytes(bytes).await.unwrap();
            idle.push(client);
        }
    }
    // The broker has seen them all once it has let in who came last.
    client(&broker, Version::V5, "last")
        .await
        .ping()
        .await
        .unwrap();
    let begun = Instant::now();
    broker.stop().await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    for mut client in idle {
        client.closed().await.unwrap();
    }
}

#[tokio::test]
async fn a_command_that_never_ends_is_cut_after_the_grace() {
    let broker = TestBroker::builder()
        .plugin::<partyline_system_tests::OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .config(|config| config.mqtt.stop_grace = 1)
        .start()
        .await
        .unwrap();
    let demo = broker.services().get::<Demo>().unwrap();
    let mut client = client(&broker, Version::V5, "one").await;
    client
        .publish("$x/demo/gate", r#"{"name":"never"}"#, 1, false)
        .await
        .unwrap();
    demo.entered("never").await;
    let begun = Instant::now();
    broker.stop().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < AT_ONCE, "{took:?}");
}

/// A will is published while others still listen: here one whose command holds up its goodbye.
#[tokio::test]
async fn wills_are_published_unless_configured_not_to_be() {
    for wills in [true, false] {
        let broker = TestBroker::builder()
            .plugin::<partyline_system_tests::OpenDoor>(json!({}))
            .plugin::<Demo>(json!({}))
            .config(|config| config.mqtt.wills_on_stop = wills)
            .start()
            .await
            .unwrap();
        let demo = broker.services().get::<Demo>().unwrap();
        let mut watcher = client(&broker, Version::V5, "watcher").await;
        watcher.subscribe(&[("will", 1)]).await.unwrap();
        watcher
            .publish("$x/demo/gate", r#"{"name":"a"}"#, 1, false)
            .await
            .unwrap();
        demo.entered("a").await;
        let options = kept(Version::V5, "mortal").will("will", b"stopped", 1, false);
        let (mut mortal, _) = connect(&broker, &options).await;
        let watching = async {
            mortal.closed().await.unwrap();
            demo.open("a");
            watcher.publish_on("$x/demo/reply").await.unwrap();
            watcher.closed().await.unwrap();
            let came = watcher
                .unasked()
                .any(|packet| matches!(packet, Packet::Publish(_)));
            assert_eq!(came, wills);
        };
        tokio::join!(broker.stop(), watching);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_waited_for_long() {
    let broker = broker_with(|config| config.mqtt.stop_grace = LONG).await;
    let mut stuck = client(&broker, Version::V5, "stuck").await;
    stuck.subscribe(&[("a", 0)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for _ in 0..300 {
        publisher
            .publish_done("a", vec![0; 64 * 1024], 1, false)
            .await
            .unwrap();
    }
    let begun = Instant::now();
    broker.stop().await;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    drop(stuck);
}
