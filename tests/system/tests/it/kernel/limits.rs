//! What one client may send, and what it is sent.

use bytes::Bytes;
use partyline_system_tests::OpenDoor;
use partyline_testkit::{BrokerConfig, ConnectOptions, PATIENCE, Packet, TestBroker, Version};
use serde_json::json;

use super::property::{CONTENT_TYPE, MAXIMUM_PACKET_SIZE, REASON_STRING, RECEIVE_MAXIMUM};
use super::{VERSIONS, broker, broker_with, by_version, client, connect, kept, tells_presence};

#[tokio::test]
async fn a_packet_above_the_limit_is_refused_by_its_length_alone() {
    let broker = broker_with(|config| config.limits.packet_bytes = 1000).await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client
            .publish_done("a", vec![0; 900], 1, false)
            .await
            .unwrap();
        // The length says 1,001 bytes in all; its body never comes.
        client.send_bytes(&[0x30, 0xe6, 0x07]).await.unwrap();
        if version == Version::V5 {
            assert_eq!(client.disconnected().await.unwrap(), 0x95);
        }
        client.closed().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_too_long_too_deep_or_no_name_ends_the_connection() {
    let broker = broker().await;
    let long = "x".repeat(1025);
    let deep = "x/".repeat(32);
    for version in VERSIONS {
        for topic in [&long, &deep, "a/+", "a/#", "#"] {
            let mut client = client(&broker, version, "one").await;
            client.publish(topic, "x", 0, false).await.unwrap();
            if version == Version::V5 {
                let goodbye = client.wait_for("DISCONNECT", |packet| match packet {
                    Packet::Disconnect(reason, properties) => {
                        Some((*reason, properties.text(REASON_STRING)))
                    }
                    _ => None,
                });
                let (reason, message) = goodbye.await.unwrap();
                assert_eq!(reason, 0x90);
                assert!(message.is_some_and(|message| message.contains("topic")));
            }
            client.closed().await.unwrap();
        }
        let mut client = client(&broker, version, "one").await;
        let (long, deep) = ("x".repeat(1024), "x/".repeat(31));
        for topic in [&long, &deep, " ", "/", "a//b", "ü/€/𝄞"] {
            assert_eq!(client.publish_done(topic, "x", 1, false).await.unwrap(), 0);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_topic_at_all_ends_the_connection() {
    let broker = broker().await;
    let mut client = client(&broker, Version::V5, "one").await;
    client
        .send_publish(1, "", b"x", 1, false, false, &[])
        .await
        .unwrap();
    assert_eq!(client.disconnected().await.unwrap(), 0x82);
    client.closed().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn nothing_under_dollar_can_be_published_to_unless_a_plugin_answers() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("#", 2), ("+/#", 2)]).await.unwrap();
        let mut client = client(&broker, version, "one").await;
        for topic in [
            "$SYS/load",
            "$im/inbox",
            "$im/message/send",
            "$session",
            "$",
            "$share/g/a",
        ] {
            for qos in 1..=2 {
                let reason = client.publish_done(topic, "{}", qos, false).await.unwrap();
                assert_eq!(reason, by_version(version, 0x87, 0), "{topic}");
            }
            client.publish_done(topic, "{}", 0, false).await.unwrap();
        }
        client.quiet().await.unwrap();
        watcher.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_refused_topic_is_refused_at_every_qos() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("#", 2)]).await.unwrap();
        let mut client = client(&broker, version, "one").await;
        for qos in 0..=2 {
            let reason = client
                .publish_done("secret/a", "x", qos, false)
                .await
                .unwrap();
            let expected = if qos == 0 {
                0
            } else {
                by_version(version, 0x87, 0)
            };
            assert_eq!(reason, expected);
        }
        watcher.quiet().await.unwrap();
        client.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn the_clients_receive_maximum_is_kept() {
    let broker = broker().await;
    let options = kept(Version::V5, "narrow").property(RECEIVE_MAXIMUM, &[0, 2][..]);
    let (mut narrow, _) = connect(&broker, &options).await;
    narrow.subscribe(&[("a", 2)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for qos in [1, 2, 1, 2, 0] {
        publisher.publish_done("a", "x", qos, false).await.unwrap();
    }
    let first = narrow.publish_on("a").await.unwrap();
    let second = narrow.publish_on("a").await.unwrap();
    narrow.quiet().await.unwrap();
    // A QoS 2 message counts until its PUBCOMP.
    narrow.ack(5, second.id).await.unwrap();
    narrow.acked(6, second.id).await.unwrap();
    narrow.quiet().await.unwrap();
    narrow.acknowledge(&first).await.unwrap();
    let third = narrow.publish_on("a").await.unwrap();
    narrow.quiet().await.unwrap();
    narrow.ack(7, second.id).await.unwrap();
    let fourth = narrow.publish_on("a").await.unwrap();
    assert_eq!([first.qos, second.qos, third.qos, fourth.qos], [1, 2, 1, 2]);
    // At QoS 0 nothing is counted, but the order is kept.
    assert_eq!(narrow.publish_on("a").await.unwrap().qos, 0);
    broker.stop().await;
}

#[tokio::test]
async fn our_in_flight_limit_holds_for_who_names_none() {
    let broker = broker_with(|config| config.limits.in_flight = 3).await;
    for version in VERSIONS {
        let mut slow = client(&broker, version, "slow").await;
        slow.subscribe(&[("a", 1)]).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        for number in 0..5 {
            publisher
                .publish_done("a", [number], 1, false)
                .await
                .unwrap();
        }
        let mut messages = Vec::new();
        for _ in 0..3 {
            messages.push(slow.publish_on("a").await.unwrap());
        }
        slow.quiet().await.unwrap();
        for message in messages {
            slow.acknowledge(&message).await.unwrap();
        }
        assert_eq!(&slow.take("a").await.unwrap().payload[..], &[3]);
        assert_eq!(&slow.take("a").await.unwrap().payload[..], &[4]);
        slow.quiet().await.unwrap();
    }
    broker.stop().await;
}

/// MQTT 5 §3.3.4: more unreleased QoS 2 messages than our Receive Maximum.
#[tokio::test]
async fn our_receive_maximum_holds_for_messages_that_are_never_released() {
    let broker = broker_with(|config| config.limits.in_flight = 3).await;
    let mut client = client(&broker, Version::V5, "one").await;
    for id in 1..=3 {
        client
            .send_publish(id, "a", b"x", 2, false, false, &[])
            .await
            .unwrap();
        assert_eq!(client.acked(5, id).await.unwrap(), 0);
    }
    // A repeated one is no new one, and a released one makes room.
    client
        .send_publish(2, "a", b"x", 2, false, true, &[])
        .await
        .unwrap();
    assert_eq!(client.acked(5, 2).await.unwrap(), 0);
    client.ack(6, 1).await.unwrap();
    assert_eq!(client.acked(7, 1).await.unwrap(), 0);
    client
        .send_publish(4, "a", b"x", 2, false, false, &[])
        .await
        .unwrap();
    assert_eq!(client.acked(5, 4).await.unwrap(), 0);
    client
        .send_publish(5, "a", b"x", 2, false, false, &[])
        .await
        .unwrap();
    assert_eq!(client.disconnected().await.unwrap(), 0x93);
    client.closed().await.unwrap();
    broker.stop().await;
}

/// 3.1.1 has no Receive Maximum, so that a burst may be long, but it ends somewhere.
#[tokio::test]
async fn who_cannot_be_told_of_a_window_is_closed_far_beyond_it() {
    let broker = broker().await;
    let mut client = client(&broker, Version::V311, "one").await;
    for id in 1..=8192 {
        client
            .send_publish(id, "a", b"x", 2, false, false, &[])
            .await
            .unwrap();
        assert_eq!(client.acked(5, id).await.unwrap(), 0);
    }
    client
        .send_publish(8193, "a", b"x", 2, false, false, &[])
        .await
        .unwrap();
    client.closed().await.unwrap();
    broker.stop().await;
}

/// Its goodbye arrives, though much of what the client sent was never looked at.
#[tokio::test]
async fn who_breaks_the_protocol_in_full_flow_is_told_why() {
    let broker = broker().await;
    for _ in 0..10 {
        let mut client = client(&broker, Version::V5, "one").await;
        let mut flow = vec![0xf1, 0];
        flow.resize(200 * 1024, 0);
        client.send_bytes(&flow).await.unwrap();
        assert_eq!(client.disconnected().await.unwrap(), 0x81);
        client.send_bytes(&flow).await.unwrap();
        assert_eq!(client.next().await.unwrap(), Packet::Closed);
    }
    broker.stop().await;
}

/// MQTT 5 §3.1.2.11.4: what is too large for the client is dropped as if it had been sent.
#[tokio::test]
async fn what_is_larger_than_the_clients_maximum_packet_size_is_dropped() {
    let broker = broker().await;
    let options =
        ConnectOptions::new(Version::V5, "small").property(MAXIMUM_PACKET_SIZE, &[0, 0, 0, 64][..]);
    let (mut small, connack) = connect(&broker, &options).await;
    // The CONNACK itself keeps to it, by leaving out what it may.
    assert_eq!((connack.code, connack.properties.user("door")), (0, None));
    small.subscribe(&[("a", 2)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for qos in 0..=2 {
        publisher
            .publish_done("a", vec![b'x'; 100], qos, false)
            .await
            .unwrap();
        publisher
            .publish_done("a", "fits", qos, true)
            .await
            .unwrap();
        let message = small.take("a").await.unwrap();
        assert_eq!((message.qos, &message.payload[..]), (qos, &b"fits"[..]));
    }
    // Properties count.
    let property = [(
        CONTENT_TYPE,
        Bytes::from([&[0, 80][..], &[b'x'; 80]].concat()),
    )];
    publisher
        .send_publish(9, "a", b"x", 1, false, false, &property)
        .await
        .unwrap();
    publisher.acked(4, 9).await.unwrap();
    small.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn more_connections_than_the_limit_are_closed() {
    let broker = broker_with(|config| config.limits.connections = 2).await;
    let first = client(&broker, Version::V5, "first").await;
    let mut second = client(&broker, Version::V5, "second").await;
    let address = broker.addresses().mqtt;
    let mut third = super::RawClient::open(address, Version::V5).await.unwrap();
    assert_eq!(third.next().await.unwrap(), Packet::Closed);
    first.disconnect(0).await.unwrap();
    // The place is free once the broker has let go of the socket, which the client cannot see.
    let fourth = ConnectOptions::new(Version::V5, "fourth");
    let let_in = async { while broker.client(fourth.clone()).await.is_err() {} };
    tokio::time::timeout(PATIENCE, let_in).await.unwrap();
    second.ping().await.unwrap();
    broker.stop().await;
}

/// [MQTT-3.1.2-24]: a SUBACK has nothing to leave out, so who cannot take it is told so.
#[tokio::test]
async fn a_subscribe_whose_answer_the_client_cannot_take_ends_the_connection() {
    let broker = broker().await;
    let options = || kept(Version::V5, "small").property(MAXIMUM_PACKET_SIZE, &[0, 0, 0, 64][..]);
    for (first, end) in [(0x82, &b"\0"[..]), (0xa2, b"")] {
        let filters = |count| {
            let filter = [&b"\x00\x01a"[..], end].concat();
            [b"\x00\x01\x00".to_vec(), filter.repeat(count)].concat()
        };
        let (mut small, _) = connect(&broker, &options()).await;
        // Five bytes and a code for each filter.
        small.send_packet(first, &filters(59)).await.unwrap();
        let answered = small.wait_for("an answer", |packet| match packet {
            Packet::SubAck(_, codes) | Packet::UnsubAck(_, codes) => Some(codes.len()),
            _ => None,
        });
        assert_eq!(answered.await.unwrap(), 59);
        small.send_packet(first, &filters(60)).await.unwrap();
        assert_eq!(small.disconnected().await.unwrap(), 0x95);
        small.closed().await.unwrap();
    }
    broker.stop().await;
}

/// Above the limit, a session ends with its connection, and the client finds none.
#[tokio::test]
async fn only_so_many_sessions_wait_for_their_clients() {
    let broker = broker_with(|config| config.limits.detached_sessions = 1).await;
    for version in VERSIONS {
        let present = async |id, expected| {
            let (client, connack) = connect(&broker, &kept(version, id)).await;
            assert_eq!(connack.session_present, expected && tells_presence(version));
            client
        };
        let (one, other) = (present("one", false).await, present("other", false).await);
        one.disconnect(0).await.unwrap();
        other.disconnect(0).await.unwrap();
        let other = present("other", false).await;
        // Who comes back leaves a place.
        let one = present("one", true).await;
        other.disconnect(0).await.unwrap();
        one.disconnect(0).await.unwrap();
        present("one", false).await;
        // So does a session that is ended.
        client(&broker, version, "other").await;
        let one = present("one", false).await;
        one.disconnect(0).await.unwrap();
        client(&broker, version, "one").await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn limits_that_do_not_go_together_are_an_error_at_the_start() {
    type Change = fn(&mut BrokerConfig);
    let cases: [(Change, &[&str]); 4] = [
        (
            |config| config.limits.queued_bytes = 1000,
            &["limits.queued_bytes", "limits.packet_bytes"],
        ),
        (
            |config| config.limits.retained_bytes = 1000,
            &["limits.retained_bytes", "limits.packet_bytes"],
        ),
        (|config| config.limits.in_flight = 0, &["limits.in_flight"]),
        // A stack can hold only so many: one SUBSCRIBE would end the process.
        (
            |config| config.limits.topic_levels = 1025,
            &["limits.topic_levels"],
        ),
    ];
    for (change, keys) in cases {
        let started = TestBroker::builder()
            .plugin::<OpenDoor>(json!({}))
            .config(change)
            .start()
            .await;
        let error = format!("{:#}", started.expect_err("the limits are refused"));
        assert!(keys.iter().all(|key| error.contains(key)), "{error}");
    }
}

/// The smallest queue that is allowed still takes the largest packet.
#[tokio::test]
async fn a_queue_takes_one_message_of_any_size() {
    let broker = broker_with(|config| {
        config.limits.packet_bytes = 2000;
        config.limits.queued_bytes = 2000;
    })
    .await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client.subscribe(&[("a", 1)]).await.unwrap();
        for qos in 0..=2 {
            let payload = vec![b'x'; 1990];
            client
                .publish_done("a", &payload, qos, false)
                .await
                .unwrap();
            assert_eq!(client.take("a").await.unwrap().payload, payload);
        }
    }
    broker.stop().await;
}
