//! More retained messages than a queue holds, and messages that come meanwhile.

use std::collections::BTreeSet;

use bytes::Bytes;
use partyline_testkit::{Packet, Publish, RawClient, Version};

use super::property::MESSAGE_EXPIRY;
use super::{VERSIONS, broker, broker_with, by_version, client, connect, kept};

async fn retain(publisher: &mut RawClient, topics: impl Iterator<Item = String>) {
    retain_at(publisher, 0, topics).await;
}

async fn retain_at(publisher: &mut RawClient, qos: u8, topics: impl Iterator<Item = String>) {
    for topic in topics {
        publisher.publish(&topic, "old", qos, true).await.unwrap();
    }
    publisher.ping().await.unwrap();
}

async fn any(client: &mut RawClient) -> Publish {
    let publish = |packet: &Packet| match packet {
        Packet::Publish(publish) => Some(publish.clone()),
        _ => None,
    };
    client.wait_for("a message", publish).await.unwrap()
}

/// MQTT 5 §3.3.1.3: all that match, however small the queue is.
#[tokio::test]
async fn all_of_them_come_and_so_does_what_is_published_meanwhile() {
    const COUNT: usize = 5000;
    let broker = broker_with(|config| config.limits.queued_messages = 100).await;
    let topics = |number: usize| format!("kept/{number}/state");
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        retain(&mut publisher, (0..COUNT).map(topics)).await;
        for (qos, filter) in [(0, "#"), (1, "kept/+/state")] {
            let mut reader = client(&broker, version, "reader").await;
            reader
                .subscribe(&[(filter, qos), ("live", 1)])
                .await
                .unwrap();
            let mut missing: BTreeSet<String> = (0..COUNT).map(topics).collect();
            let mut live = 0;
            while !missing.is_empty() {
                // One more at every hundredth.
                if missing.len().is_multiple_of(100) {
                    publisher.publish_done("live", "x", 1, false).await.unwrap();
                    live += 1;
                }
                let message = any(&mut reader).await;
                reader.acknowledge(&message).await.unwrap();
                if message.topic == "live" {
                    live -= 1;
                } else {
                    assert!(message.retain);
                    assert!(missing.remove(&message.topic), "{} twice", message.topic);
                }
            }
            for _ in 0..live {
                reader.take("live").await.unwrap();
            }
            reader.quiet().await.unwrap();
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn what_is_owed_outlives_the_connection() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let topics = || (0..1000).map(|number| format!("a/{number}"));
    retain_at(&mut publisher, 1, topics()).await;
    for version in [Version::V311, Version::V5] {
        let (mut reader, _) = connect(&broker, &kept(version, "reader")).await;
        reader.subscribe(&[("a/#", 1)]).await.unwrap();
        drop(reader);
        let (mut reader, connack) = connect(&broker, &kept(version, "reader")).await;
        assert!(connack.session_present);
        let mut missing: BTreeSet<String> = topics().collect();
        while !missing.is_empty() {
            let message = any(&mut reader).await;
            reader.acknowledge(&message).await.unwrap();
            assert!(missing.remove(&message.topic), "{} twice", message.topic);
        }
        reader.quiet().await.unwrap();
        client(&broker, version, "reader")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

/// [MQTT-3.10.4-2]: what lies in the queue may still come.
#[tokio::test]
async fn what_is_owed_ends_with_the_subscription() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    retain_at(
        &mut publisher,
        1,
        (0..1000).map(|number| format!("a/{number}")),
    )
    .await;
    for version in VERSIONS {
        let mut reader = client(&broker, version, "reader").await;
        reader.subscribe(&[("+/+", 1)]).await.unwrap();
        reader.unsubscribe(&["+/+"]).await.unwrap();
        let mut came = 0;
        loop {
            reader.ping().await.unwrap();
            reader.ping().await.unwrap();
            let waiting = reader.unasked().count();
            if waiting == 0 {
                break;
            }
            for _ in 0..waiting {
                let message = any(&mut reader).await;
                reader.acknowledge(&message).await.unwrap();
                assert_ne!(message.topic, "a/999", "the last in order");
            }
            came += waiting;
        }
        assert!(came < 1000, "{came}");
    }
    broker.stop().await;
}

/// What replaces a message that is still owed is sent once, as news, and the old one not after it.
#[tokio::test]
async fn an_old_one_never_comes_after_the_new_one() {
    let broker = broker().await;
    let topics = || (0..600).map(|number| format!("a/{number:03}"));
    for version in [Version::V311, Version::V5] {
        let mut publisher = client(&broker, version, "publisher").await;
        retain_at(&mut publisher, 1, topics()).await;
        let mut reader = client(&broker, version, "reader").await;
        reader.subscribe(&[("a/#", 1)]).await.unwrap();
        // It acknowledges nothing yet, so most are still to be looked for.
        let replaced: BTreeSet<String> = ["a/000", "a/300", "a/599"].map(Into::into).into();
        for topic in &replaced {
            assert_eq!(
                publisher.publish_done(topic, "new", 1, true).await.unwrap(),
                0
            );
        }
        let (mut seen, mut news) = (BTreeSet::new(), BTreeSet::new());
        while seen.len() < 600 || news != replaced {
            let message = any(&mut reader).await;
            reader.acknowledge(&message).await.unwrap();
            if message.payload == "new" {
                assert!(!message.retain);
                news.insert(message.topic.clone());
            } else {
                assert!(!news.contains(&message.topic), "{}", message.topic);
            }
            seen.insert(message.topic);
        }
        reader.quiet().await.unwrap();
        retain_nothing(&mut publisher, topics()).await;
    }
    broker.stop().await;
}

async fn retain_nothing(publisher: &mut RawClient, topics: impl Iterator<Item = String>) {
    for topic in topics {
        publisher.publish(&topic, "", 0, true).await.unwrap();
    }
    publisher.ping().await.unwrap();
}

/// A packet full of wildcards costs no more than the subscriptions of a session.
#[tokio::test]
async fn a_filter_repeated_in_a_packet_is_one_and_those_above_the_limit_are_refused() {
    let broker = broker_with(|config| config.limits.subscriptions = 2).await;
    let others: Vec<String> = (0..20_000).map(|number| format!("+/{number}/#")).collect();
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        retain(&mut publisher, (0..100).map(|number| number.to_string())).await;
        let mut reader = client(&broker, version, "reader").await;
        let codes = reader.subscribe(&[("#", 1)].repeat(20_000)).await.unwrap();
        assert_eq!(codes, [1].repeat(20_000));
        for _ in 0..100 {
            let message = any(&mut reader).await;
            reader.acknowledge(&message).await.unwrap();
        }
        reader.quiet().await.unwrap();
        // The last one stands.
        assert_eq!(
            reader.subscribe(&[("#", 1), ("#", 0)]).await.unwrap(),
            [1, 0]
        );
        for _ in 0..100 {
            assert_eq!(any(&mut reader).await.qos, 0);
        }
        let others: Vec<(&str, u8)> = others.iter().map(|filter| (&**filter, 1)).collect();
        let codes = reader.subscribe(&others).await.unwrap();
        let refused = by_version(version, 0x97, 0x80);
        assert_eq!((codes[0], &codes[1..]), (1, &*[refused].repeat(19_999)));
        let codes = reader.unsubscribe(&["#"].repeat(20_000)).await.unwrap();
        assert!(codes.iter().skip(1).all(|code| *code == 0x11));
        reader.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_app_has_only_so_many_bytes_of_them() {
    let broker = broker_with(|config| {
        config.limits.packet_bytes = 4000;
        config.limits.retained_bytes = 8000;
    })
    .await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for (topic, size, v5, v3) in [
            ("a", 3000, 0, 0),
            ("b", 3000, 0, 0),
            ("c", 3000, 0x97, 0),
            ("b", 10, 0, 0),
            ("c", 3000, 0, 0),
            ("b", 3000, 0x97, 0),
        ] {
            let told = publisher.publish_done(topic, vec![b'x'; size], 1, true);
            assert_eq!(told.await.unwrap(), by_version(version, v5, v3), "{topic}");
        }
        let mut reader = client(&broker, version, "reader").await;
        reader.subscribe(&[("#", 1)]).await.unwrap();
        for (topic, size) in [("a", 3000), ("b", 10), ("c", 3000)] {
            assert_eq!(reader.take(topic).await.unwrap().payload.len(), size);
        }
        reader.quiet().await.unwrap();
        retain_nothing(&mut publisher, ["a", "b", "c"].map(Into::into).into_iter()).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_expired_one_makes_room() {
    let broker = broker_with(|config| config.limits.retained_messages = 1).await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let at_once = [(MESSAGE_EXPIRY, Bytes::from_static(&[0; 4]))];
    for (id, topic) in [(1, "a"), (2, "b")] {
        publisher
            .send_publish(id, topic, b"x", 1, true, false, &at_once)
            .await
            .unwrap();
        assert_eq!(publisher.acked(4, id).await.unwrap(), 0, "{topic}");
    }
    for (topic, told) in [("c", 0), ("d", 0x97)] {
        let done = publisher.publish_done(topic, "x", 1, true);
        assert_eq!(done.await.unwrap(), told);
    }
    let mut reader = client(&broker, Version::V5, "reader").await;
    reader.subscribe(&[("#", 1)]).await.unwrap();
    reader.take("c").await.unwrap();
    reader.quiet().await.unwrap();
    broker.stop().await;
}
