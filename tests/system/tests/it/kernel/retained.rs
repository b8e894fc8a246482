//! Retained messages.

use partyline_testkit::{ConnectOptions, Publish, RawClient, TestBroker, Version};

use super::property::{CONTENT_TYPE, MESSAGE_EXPIRY};
use super::{VERSIONS, broker, broker_with, by_version, client};

/// What a new subscriber is sent for `filter`, by topic.
async fn found(broker: &TestBroker, version: Version, filter: &str, count: usize) -> Vec<Publish> {
    let mut reader = client(broker, version, "reader").await;
    assert_eq!(reader.subscribe(&[(filter, 2)]).await.unwrap(), [2]);
    let mut messages = Vec::new();
    for _ in 0..count {
        let message = reader.wait_for("a retained message", |packet| match packet {
            partyline_testkit::Packet::Publish(publish) => Some(publish.clone()),
            _ => None,
        });
        let message = message.await.unwrap();
        reader.acknowledge(&message).await.unwrap();
        messages.push(message);
    }
    reader.quiet().await.unwrap();
    messages.sort_by(|one, other| one.topic.cmp(&other.topic));
    messages
}

async fn retain(publisher: &mut RawClient, topic: &str, payload: &str) -> u8 {
    publisher
        .publish_done(topic, payload, 1, true)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_last_of_a_topic_is_sent_to_who_subscribes_later() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for (qos, payload) in [(0, "first"), (1, "second"), (2, "third")] {
            publisher
                .publish_done("a/b", payload, qos, true)
                .await
                .unwrap();
            let found = found(&broker, version, "a/b", 1).await;
            let last = &found[0];
            assert_eq!(
                (&last.payload[..], last.qos, last.retain),
                (payload.as_bytes(), qos, true)
            );
        }
        publisher
            .publish_done("a/b", "not kept", 1, false)
            .await
            .unwrap();
        assert_eq!(found(&broker, version, "a/b", 1).await[0].payload, "third");
        assert_eq!(retain(&mut publisher, "a/b", "").await, 0);
        found(&broker, version, "a/b", 0).await;
    }
    broker.stop().await;
}

/// Only with RETAIN does an empty payload take the topic's message away ([MQTT-3.3.1-6],
/// [MQTT-3.3.1-8]).
#[tokio::test]
async fn an_empty_message_that_is_not_retained_leaves_it_alone() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        retain(&mut publisher, "a", "kept").await;
        for qos in 0..=2 {
            publisher.publish_done("a", "", qos, false).await.unwrap();
            assert_eq!(found(&broker, version, "a", 1).await[0].payload, "kept");
        }
        for qos in 0..=2 {
            retain(&mut publisher, "a", "kept").await;
            publisher.publish_done("a", "", qos, true).await.unwrap();
            found(&broker, version, "a", 0).await;
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn who_is_subscribed_gets_it_as_any_other_message() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut reader = client(&broker, version, "reader").await;
        reader.subscribe(&[("a", 1)]).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        for payload in ["news", ""] {
            retain(&mut publisher, "a", payload).await;
            let message = reader.take("a").await.unwrap();
            assert_eq!(message.payload, payload);
            assert!(!message.retain, "{version:?}");
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn wildcards_find_every_topic_they_match() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for topic in ["a", "a/b", "a/c", "a/b/c", "/b", "x"] {
            retain(&mut publisher, topic, topic).await;
        }
        for (filter, topics) in [
            ("#", &["/b", "a", "a/b", "a/b/c", "a/c", "x"][..]),
            ("a/#", &["a", "a/b", "a/b/c", "a/c"]),
            ("a/+", &["a/b", "a/c"]),
            ("+/b", &["/b", "a/b"]),
            ("+", &["a", "x"]),
            ("a/+/c", &["a/b/c"]),
            ("b/#", &[]),
        ] {
            let found = found(&broker, version, filter, topics.len()).await;
            let found: Vec<&str> = found.iter().map(|message| message.topic.as_str()).collect();
            assert_eq!(found, topics, "{filter}");
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn retain_handling_says_when_they_are_sent() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    retain(&mut publisher, "a", "x").await;
    for (handling, first, again) in [(0, true, true), (1, true, false), (2, false, false)] {
        let mut reader = client(&broker, Version::V5, "reader").await;
        for sent in [first, again] {
            reader.subscribe(&[("a", handling << 4 | 1)]).await.unwrap();
            if sent {
                assert!(reader.take("a").await.unwrap().retain);
            }
            reader.quiet().await.unwrap();
        }
    }
    broker.stop().await;
}

/// Before MQTT 5, every SUBSCRIBE sends them again ([MQTT-3.8.4-3] of 3.1.1).
#[tokio::test]
async fn subscribing_again_sends_them_again() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        retain(&mut publisher, "a", "x").await;
        let mut reader = client(&broker, version, "reader").await;
        for _ in 0..2 {
            reader.subscribe(&[("a", 1)]).await.unwrap();
            assert!(reader.take("a").await.unwrap().retain);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn retain_as_published_keeps_the_flag() {
    let broker = broker().await;
    let mut reader = client(&broker, Version::V5, "reader").await;
    reader.subscribe(&[("a", 0b1001)]).await.unwrap();
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for retained in [true, false] {
            publisher.publish_done("a", "x", 1, retained).await.unwrap();
            assert_eq!(reader.take("a").await.unwrap().retain, retained);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn the_lower_qos_of_both_is_used() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for published in 0..=2 {
        publisher
            .publish_done("a", "x", published, true)
            .await
            .unwrap();
        for asked in 0..=2 {
            let mut reader = client(&broker, Version::V5, "reader").await;
            reader.subscribe(&[("a", asked)]).await.unwrap();
            assert_eq!(reader.take("a").await.unwrap().qos, published.min(asked));
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn properties_are_kept_and_the_expiry_counts_down() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let properties = [
        (MESSAGE_EXPIRY, bytes::Bytes::from_static(&[0, 0, 0, 100])),
        (CONTENT_TYPE, bytes::Bytes::from_static(b"\x00\x04text")),
    ];
    publisher
        .send_publish(1, "a", b"x", 1, true, false, &properties)
        .await
        .unwrap();
    publisher.acked(4, 1).await.unwrap();
    let found = found(&broker, Version::V5, "a", 1).await;
    assert_eq!(
        found[0].properties.text(CONTENT_TYPE).as_deref(),
        Some("text")
    );
    let left = found[0]
        .properties
        .get(MESSAGE_EXPIRY)
        .expect("the rest of its life");
    let left = u32::from_be_bytes(left[..].try_into().unwrap());
    assert!((60..=100).contains(&left), "{left}");
    broker.stop().await;
}

#[tokio::test]
async fn an_expired_one_is_not_sent() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let second = [(MESSAGE_EXPIRY, bytes::Bytes::from_static(&[0, 0, 0, 1]))];
    publisher
        .send_publish(1, "a", b"x", 1, true, false, &second)
        .await
        .unwrap();
    publisher.acked(4, 1).await.unwrap();
    // A keep-alive of one second that runs out tells that more than one has passed.
    let mut options = ConnectOptions::new(Version::V5, "clock");
    options.keep_alive = 1;
    broker
        .client(options)
        .await
        .unwrap()
        .closed()
        .await
        .unwrap();
    found(&broker, Version::V5, "a", 0).await;
    broker.stop().await;
}

#[tokio::test]
async fn an_app_has_only_so_many() {
    let broker = broker_with(|config| config.limits.retained_messages = 2).await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        assert_eq!(retain(&mut publisher, "a", "1").await, 0);
        assert_eq!(retain(&mut publisher, "b", "1").await, 0);
        assert_eq!(
            retain(&mut publisher, "c", "1").await,
            by_version(version, 0x97, 0)
        );
        assert_eq!(
            retain(&mut publisher, "a", "2").await,
            0,
            "replacing one is no new one"
        );
        found(&broker, version, "c", 0).await;
        retain(&mut publisher, "b", "").await;
        assert_eq!(retain(&mut publisher, "c", "1").await, 0);
        found(&broker, version, "c", 1).await;
        for topic in ["a", "b", "c"] {
            retain(&mut publisher, topic, "").await;
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn what_was_refused_is_not_kept() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for topic in ["secret/a", "$SYS/a", "$a"] {
            assert_eq!(
                retain(&mut publisher, topic, "x").await,
                by_version(version, 0x87, 0)
            );
        }
        found(&broker, version, "#", 0).await;
        found(&broker, version, "+/a", 0).await;
    }
    broker.stop().await;
}
