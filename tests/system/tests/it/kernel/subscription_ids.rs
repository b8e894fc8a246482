//! Subscription identifiers (MQTT 5 §3.8.2.1.2, §3.3.4).

use bytes::Bytes;
use partyline_testkit::{Property, Publish, RawClient, Version};

use super::property::SUBSCRIPTION_ID;
use super::{VERSIONS, broker, client, connect, kept};

const LARGEST: u32 = 268_435_455;

/// The property, as a Variable Byte Integer.
fn id(mut id: u32) -> Property {
    let mut value = Vec::new();
    loop {
        let low = u8::try_from(id & 0x7f).unwrap();
        id >>= 7;
        value.push(if id == 0 { low } else { low | 0x80 });
        if id == 0 {
            return (SUBSCRIPTION_ID, Bytes::from(value));
        }
    }
}

async fn subscribe(client: &mut RawClient, filter: &str, qos: u8, number: impl Into<Option<u32>>) {
    let properties = Vec::from_iter(number.into().map(id));
    let codes = client.subscribe_with(&[(filter, qos)], &properties).await;
    assert_eq!(codes.unwrap(), [qos]);
}

/// The identifiers that a message came with, in order.
fn ids(message: &Publish) -> Vec<u32> {
    let number = |value: &Bytes| {
        let bytes = value.iter().enumerate();
        bytes.fold(0, |sum, (at, byte)| {
            sum | u32::from(byte & 0x7f) << (7 * at)
        })
    };
    let all = message.properties.all(SUBSCRIPTION_ID);
    let mut ids: Vec<u32> = all.map(number).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_message_names_the_subscription_it_comes_for() {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    for (filter, number) in [("a", 1), ("b/+", 127), ("c", 128), ("d/#", LARGEST)] {
        subscribe(&mut subscriber, filter, 2, number).await;
    }
    subscriber.subscribe(&[("e", 2)]).await.unwrap();
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for (topic, expected) in [
            ("a", &[1][..]),
            ("b/x", &[127]),
            ("c", &[128]),
            ("d", &[LARGEST]),
            ("e", &[]),
        ] {
            for qos in 0..=2 {
                publisher
                    .publish_done(topic, "x", qos, false)
                    .await
                    .unwrap();
                let message = subscriber.take(topic).await.unwrap();
                assert_eq!((message.qos, ids(&message)), (qos, expected.to_vec()));
                assert_eq!(&message.payload[..], b"x");
            }
        }
    }
    subscriber.quiet().await.unwrap();
    broker.stop().await;
}

/// [MQTT-3.3.4-3]; delivered once, at the highest QoS.
#[tokio::test]
async fn overlapping_subscriptions_are_all_named_on_one_message() {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    for (filter, qos, number) in [("a/b", 0, 1), ("a/+", 2, 2), ("a/#", 1, 3), ("+/b", 0, 2)] {
        subscribe(&mut subscriber, filter, qos, number).await;
    }
    subscriber.subscribe(&[("#", 1)]).await.unwrap();
    let mut other = client(&broker, Version::V5, "other").await;
    subscribe(&mut other, "a/b", 1, 9).await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publisher.publish_done("a/b", "x", 2, false).await.unwrap();
    let message = subscriber.take("a/b").await.unwrap();
    assert_eq!((message.qos, ids(&message)), (2, vec![1, 2, 3]));
    assert_eq!(ids(&other.take("a/b").await.unwrap()), [9]);
    publisher.publish_done("x", "x", 2, false).await.unwrap();
    assert_eq!(ids(&subscriber.take("x").await.unwrap()), [0; 0]);
    subscriber.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn subscribing_again_replaces_or_removes_it() {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for filter in ["a", "a/#"] {
        for number in [Some(1), Some(2), None, Some(3)] {
            subscribe(&mut subscriber, filter, 1, number).await;
            publisher.publish_done("a", "x", 1, false).await.unwrap();
            let message = subscriber.take("a").await.unwrap();
            assert_eq!(ids(&message), Vec::from_iter(number));
        }
        subscriber.unsubscribe(&[filter]).await.unwrap();
    }
    subscriber.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn retained_messages_name_the_subscription_that_asked() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publisher.publish_done("a", "x", 1, true).await.unwrap();
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    for (filter, number) in [("a", 5), ("+", 6)] {
        subscribe(&mut subscriber, filter, 1, number).await;
        let message = subscriber.take("a").await.unwrap();
        assert_eq!((message.retain, ids(&message)), (true, vec![number]));
    }
    subscriber.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn they_are_kept_with_the_session_and_sent_again_with_the_message() {
    let broker = broker().await;
    let (mut subscriber, _) = connect(&broker, &kept(Version::V5, "one")).await;
    subscribe(&mut subscriber, "a", 1, 7).await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publisher.publish_done("a", "sent", 1, false).await.unwrap();
    assert_eq!(ids(&subscriber.publish_on("a").await.unwrap()), [7]);
    drop(subscriber);
    publisher
        .publish_done("a", "queued", 1, false)
        .await
        .unwrap();
    let (mut subscriber, _) = connect(&broker, &kept(Version::V5, "one")).await;
    publisher.publish_done("a", "live", 1, false).await.unwrap();
    for (payload, dup) in [("sent", true), ("queued", false), ("live", false)] {
        let message = subscriber.take("a").await.unwrap();
        assert_eq!(
            (&message.payload[..], message.dup),
            (payload.as_bytes(), dup)
        );
        assert_eq!(ids(&message), [7]);
    }
    drop(subscriber);
    // An older protocol knows none.
    publisher
        .publish_done("a", "queued", 1, false)
        .await
        .unwrap();
    let (mut subscriber, _) = connect(&broker, &kept(Version::V311, "one")).await;
    assert_eq!(&subscriber.take("a").await.unwrap().payload[..], b"queued");
    broker.stop().await;
}

#[tokio::test]
async fn a_packet_that_is_too_large_with_them_is_not_sent() {
    let broker = broker().await;
    let options = partyline_testkit::ConnectOptions::new(Version::V5, "small").property(
        super::property::MAXIMUM_PACKET_SIZE,
        100_u32.to_be_bytes().to_vec(),
    );
    let (mut subscriber, _) = connect(&broker, &options).await;
    subscribe(&mut subscriber, "a", 0, LARGEST).await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    // Two bytes of header, three of topic, the length of the properties and five for the identifier.
    let fits = "x".repeat(100 - 11);
    for payload in [format!("{fits}x"), fits.clone()] {
        publisher
            .publish_done("a", payload, 0, false)
            .await
            .unwrap();
    }
    assert_eq!(subscriber.take("a").await.unwrap().payload, fits);
    subscriber.quiet().await.unwrap();
    broker.stop().await;
}
