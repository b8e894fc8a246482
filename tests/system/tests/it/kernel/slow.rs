//! Clients that do not read, do not speak, or speak too fast.

use std::time::{Duration, Instant};

use bytes::Bytes;
use partyline_testkit::{ConnectOptions, Packet, TestBroker, Version};
use serde_json::json;

use super::plugins::Demo;
use super::property::USER_PROPERTY;
use super::{VERSIONS, broker, broker_with, client, connect, kept};

/// One client stops reading: its queue fills and the rest is dropped, nobody waits for it, and it
/// goes on when it reads again.
#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody() {
    const COUNT: u32 = 400;
    let payload = vec![0_u8; 64 * 1024];
    for version in [Version::V311, Version::V5] {
        let broker = broker_with(|config| {
            config.limits.queued_messages = 10;
            config.limits.queued_bytes = 256 * 1024;
        })
        .await;
        let mut slow = client(&broker, version, "slow").await;
        slow.subscribe(&[("a", 0)]).await.unwrap();
        let mut quick = client(&broker, version, "quick").await;
        quick.subscribe(&[("a", 1)]).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        for _ in 0..COUNT {
            publisher
                .publish_done("a", &payload, 1, false)
                .await
                .unwrap();
            assert_eq!(quick.take("a").await.unwrap().payload.len(), payload.len());
        }
        slow.ping().await.unwrap();
        slow.ping().await.unwrap();
        let came = slow.unasked().count();
        assert!(
            came < COUNT as usize,
            "{came} messages were held for a client that did not read"
        );
        publisher
            .publish_done("a", "still here", 1, false)
            .await
            .unwrap();
        let is_last = |packet: &Packet| {
            matches!(packet, Packet::Publish(publish) if &publish.payload[..] == b"still here")
                .then_some(())
        };
        slow.wait_for("the last message", is_last).await.unwrap();
        broker.stop().await;
    }
}

/// The bound of a queue counts all that is held for it, properties too.
#[tokio::test]
async fn properties_fill_a_queue_as_well() {
    let broker = broker_with(|config| {
        config.limits.packet_bytes = 20_000;
        config.limits.queued_bytes = 50_000;
    })
    .await;
    let mut away = broker.client(kept(Version::V5, "away")).await.unwrap();
    away.subscribe(&[("a", 1)]).await.unwrap();
    away.disconnect(0).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let long = [&b"\x00\x01k\x27\x10"[..], &[b'v'; 10_000]].concat();
    let property = [(USER_PROPERTY, Bytes::from(long))];
    for id in 1..=10 {
        publisher
            .send_publish(id, "a", b"x", 1, false, false, &property)
            .await
            .unwrap();
        assert_eq!(publisher.acked(4, id).await.unwrap(), 0);
    }
    let (mut back, _) = connect(&broker, &kept(Version::V5, "away")).await;
    for _ in 0..4 {
        let message = back.take("a").await.unwrap();
        assert_eq!(
            message.properties.user("k").map(|value| value.len()),
            Some(10_000)
        );
    }
    back.quiet().await.unwrap();
    broker.stop().await;
}

/// It asks and asks, and takes no answer: reading from it stops before its answers pile up.
#[tokio::test]
async fn a_client_that_takes_no_answers_is_not_read_for_ever() {
    let broker = broker().await;
    let address = broker.addresses().mqtt;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x";
    let pings = [0xc0, 0].repeat(32 * 1024);
    // Without reading, everything that fits between the two of us is some megabytes.
    let mut sent = write_some(&stream, connect).await;
    while let Some(more) = write_at_once(&stream, &pings).await {
        sent += more;
        assert!(sent < 256 * 1024 * 1024, "the broker reads on and on");
    }
    let mut bystander = client(&broker, Version::V5, "bystander").await;
    bystander.ping().await.unwrap();
    drop(stream);
    broker.stop().await;
}

async fn write_some(stream: &tokio::net::TcpStream, bytes: &[u8]) -> usize {
    stream.writable().await.unwrap();
    stream.try_write(bytes).unwrap()
}

/// How much was taken; `None` if nothing is taken any more.
async fn write_at_once(stream: &tokio::net::TcpStream, bytes: &[u8]) -> Option<usize> {
    let written = write_some_ready(stream, bytes);
    tokio::time::timeout(Duration::from_secs(2), written)
        .await
        .ok()
}

async fn write_some_ready(stream: &tokio::net::TcpStream, bytes: &[u8]) -> usize {
    loop {
        stream.writable().await.unwrap();
        match stream.try_write(bytes) {
            Ok(count) => return count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

#[tokio::test]
async fn who_is_silent_for_the_keep_alive_is_closed_and_who_pings_is_not() {
    let broker = broker().await;
    for version in VERSIONS {
        let options = |id, keep_alive| ConnectOptions {
            keep_alive,
            ..ConnectOptions::new(version, id)
        };
        let mut silent = broker.client(options("silent", 1)).await.unwrap();
        // Long enough for a beat that comes late on a busy machine.
        let mut lively = broker.client(options("lively", 5)).await.unwrap();
        let waiting = async {
            if version == Version::V5 {
                assert_eq!(silent.disconnected().await.unwrap(), 0x8d);
            }
            silent.closed().await.unwrap();
        };
        tokio::pin!(waiting);
        let mut beat = tokio::time::interval(Duration::from_millis(300));
        loop {
            tokio::select! {
                () = &mut waiting => break,
                _ = beat.tick() => lively.ping().await.unwrap(),
            }
        }
        lively.quiet().await.unwrap();
    }
    broker.stop().await;
}

/// A keep-alive of 0 is none of the client's, but the broker's longest.
#[tokio::test]
async fn a_keep_alive_of_zero_is_the_longest_allowed() {
    let broker = broker_with(|config| config.mqtt.max_keep_alive = 1).await;
    for version in VERSIONS {
        let options = ConnectOptions {
            keep_alive: 0,
            ..ConnectOptions::new(version, "one")
        };
        let mut silent = broker.client(options).await.unwrap();
        silent.closed().await.unwrap();
    }
    broker.stop().await;
}

async fn demo_broker(change: impl FnOnce(&mut partyline_testkit::BrokerConfig)) -> TestBroker {
    TestBroker::builder()
        .plugin::<partyline_system_tests::OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .config(change)
        .start()
        .await
        .expect("the broker starts")
}

/// Above the burst, commands are read at the rate; nothing is refused, plain messages aside.
#[tokio::test]
async fn commands_above_the_burst_are_taken_at_the_rate() {
    let broker = demo_broker(|config| {
        config.limits.commands_per_second = 20;
        config.limits.command_burst = 5;
    })
    .await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let begun = Instant::now();
        let mut ids = Vec::new();
        for _ in 0..15 {
            ids.push(
                client
                    .publish("$x/demo/echo", "{}", 1, false)
                    .await
                    .unwrap(),
            );
        }
        for id in ids {
            assert_eq!(client.acked(4, id).await.unwrap(), 0);
        }
        // Five at once, then one every 50 ms.
        let least = Duration::from_millis(9 * 50);
        assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    }
    broker.stop().await;
}

/// What the broker does not read cannot count as silence.
#[tokio::test]
async fn a_client_whose_commands_fill_the_window_is_not_taken_for_silent() {
    let broker = demo_broker(|config| config.limits.in_flight = 1).await;
    let demo = broker.services().get::<Demo>().unwrap();
    let options = ConnectOptions {
        keep_alive: 1,
        ..ConnectOptions::new(Version::V5, "one")
    };
    let mut client = broker.client(options).await.unwrap();
    let id = client
        .publish("$x/demo/gate", r#"{"name":"a"}"#, 1, false)
        .await
        .unwrap();
    demo.entered("a").await;
    // The silence of another client tells when two seconds have passed, twice.
    for id in ["clock", "again"] {
        let options = ConnectOptions {
            keep_alive: 1,
            ..ConnectOptions::new(Version::V5, id)
        };
        let mut clock = broker.client(options).await.unwrap();
        clock.closed().await.unwrap();
    }
    demo.open("a");
    assert_eq!(client.acked(4, id).await.unwrap(), 0);
    client.ping().await.unwrap();
    broker.stop().await;
}

/// A standing flood keeps its queue full, and it reads one message where two are sent. What it
/// says is heard all the same.
#[tokio::test]
async fn a_client_that_reads_slowly_under_a_flood_is_heard() {
    let payload = vec![0_u8; 64 * 1024];
    for version in [Version::V311, Version::V5] {
        // A queue that is longer than what the sockets take at once.
        let broker = broker_with(|config| config.limits.queued_bytes = 64 * 1024 * 1024).await;
        let options = ConnectOptions::new(version, "slow").will("over", b"", 1, false);
        let mut slow = broker.client(options).await.unwrap();
        slow.subscribe(&[("a", 0)]).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.subscribe(&[("over", 1)]).await.unwrap();
        let flood = async |publisher: &mut partyline_testkit::RawClient| {
            for _ in 0..2 {
                publisher
                    .publish_done("a", &payload, 1, false)
                    .await
                    .unwrap();
            }
        };
        // More than lies in the sockets between them and in the queue.
        for _ in 0..200 {
            flood(&mut publisher).await;
        }
        slow.send_bytes(&[0xc0, 0]).await.unwrap();
        let mut read = 0;
        while slow.next().await.unwrap() != Packet::PingResp {
            read += 1;
            assert!(read < 400, "no PINGRESP under the flood");
            flood(&mut publisher).await;
        }
        // A goodbye that keeps the will shows itself by it.
        let goodbye: &[u8] = if version == Version::V5 {
            &[0xe0, 1, 4]
        } else {
            &[0xf1, 0]
        };
        slow.send_bytes(goodbye).await.unwrap();
        let mut read = 0;
        loop {
            let said = publisher.unasked().any(
                |packet| matches!(packet, Packet::Publish(publish) if publish.topic == "over"),
            );
            if said {
                break;
            }
            read += 1;
            assert!(read < 400, "the goodbye is not seen under the flood");
            slow.next().await.unwrap();
            flood(&mut publisher).await;
        }
        broker.stop().await;
    }
}

/// A byte now and then is no packet.
#[tokio::test]
async fn who_never_finishes_a_packet_is_silent() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut options = ConnectOptions::new(version, "one");
        options.keep_alive = 1;
        let mut client = broker.client(options).await.unwrap();
        let mut beat = tokio::time::interval(Duration::from_millis(300));
        // A PUBLISH of 100 bytes, whose end would come after half a minute.
        client.send_bytes(&[0x30, 100, 0, 1, b'a']).await.unwrap();
        let begun = Instant::now();
        while client.send_bytes(b"x").await.is_ok() {
            beat.tick().await;
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it is kept alive"
            );
        }
    }
    broker.stop().await;
}

/// A new connection is no new burst.
#[tokio::test]
async fn reconnecting_does_not_speed_commands_up() {
    let broker = demo_broker(|config| {
        config.limits.commands_per_second = 20;
        config.limits.command_burst = 5;
    })
    .await;
    for options in [
        ConnectOptions::new(Version::V5, "clean"),
        kept(Version::V5, "kept"),
    ] {
        let begun = Instant::now();
        for _ in 0..3 {
            let mut client = broker.client(options.clone()).await.unwrap();
            for _ in 0..5 {
                client
                    .publish_done("$x/demo/echo", "{}", 1, false)
                    .await
                    .unwrap();
            }
            client.disconnect(0).await.unwrap();
        }
        // Five at once, then one every 50 ms.
        let least = Duration::from_millis(9 * 50);
        assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    }
    broker.stop().await;
}
