//! Stopping: in order, and in bounded time.

use std::time::{Duration, Instant};

use partyline_testkit::{ConnectOptions, Packet, RawClient, TestBroker, Version};
use serde_json::json;
use tokio::net::TcpSocket;

use super::plugins::Demo;
use super::property::WILL_DELAY;
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
        .config(|config| {
            config.mqtt.stop_grace = 1;
            config.limits.command_timeout = 600;
        })
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
    client.closed().await.unwrap();
}

/// All of them are published before anybody is told to go, also those that would wait.
#[tokio::test]
async fn wills_are_published_unless_configured_not_to_be() {
    for wills in [true, false] {
        let broker = broker_with(|config| config.mqtt.wills_on_stop = wills).await;
        let mut watcher = client(&broker, Version::V5, "watcher").await;
        watcher.subscribe(&[("will/#", 1)]).await.unwrap();
        let delay = |secs: u32| secs.to_be_bytes().to_vec();
        let mut mortals = Vec::new();
        for version in VERSIONS {
            let topic = format!("will/{version:?}");
            let options = kept(version, &topic)
                .will(&topic, b"stopped", 1, false)
                .will_property(WILL_DELAY, delay(600));
            mortals.push(connect(&broker, &options).await.0);
        }
        // Gone already, and not yet published.
        let options = kept(Version::V5, "gone")
            .will("will/gone", b"stopped", 1, false)
            .will_property(WILL_DELAY, delay(600));
        let gone = broker.client(options.clone()).await.unwrap();
        gone.disconnect(4).await.unwrap();
        broker.stop().await;
        watcher.closed().await.unwrap();
        let came = watcher
            .unasked()
            .filter(|packet| matches!(packet, Packet::Publish(_)))
            .count();
        assert_eq!(came, if wills { 4 } else { 0 });
        for mut mortal in mortals {
            mortal.closed().await.unwrap();
        }
    }
}

/// More waits than one write takes, since its client reads nothing before the stop.
#[tokio::test]
async fn a_long_queue_goes_out_first_too() {
    const COUNT: u8 = 80;
    for qos in [0, 1] {
        let broker = broker_with(|config| config.limits.queued_bytes = 64 * 1024 * 1024).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(broker.addresses().mqtt).await.unwrap();
        let mut slow = RawClient::over(stream, Version::V5);
        let options = ConnectOptions::new(Version::V5, "slow");
        slow.connect(&options).await.unwrap();
        slow.subscribe(&[("a", qos)]).await.unwrap();
        let mut publisher = client(&broker, Version::V5, "publisher").await;
        for number in 0..COUNT {
            publisher
                .publish_done("a", vec![number; 64 * 1024], 1, false)
                .await
                .unwrap();
        }
        let reading = async {
            for number in 0..COUNT {
                let message = slow.publish_on("a").await.unwrap();
                assert_eq!(message.payload[0], number);
            }
            assert_eq!(slow.disconnected().await.unwrap(), 0x8b);
        };
        tokio::join!(broker.stop(), reading);
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
