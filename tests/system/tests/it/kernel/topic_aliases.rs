//! Topic aliases, both ways (MQTT 5 §3.3.2.3.4).

use bytes::Bytes;
use partyline_testkit::{Packet, Property, Publish, RawClient, TestBroker, Version};

use super::property::{SUBSCRIPTION_ID, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM};
use super::{broker, broker_with, client, connect, kept};

fn alias(number: u16) -> Property {
    let value = number.to_be_bytes();
    (TOPIC_ALIAS, Bytes::copy_from_slice(&value))
}

/// A PUBLISH at QoS 1 with an alias, and its acknowledgement.
async fn publish(client: &mut RawClient, topic: &str, number: u16, payload: &str) -> u8 {
    let id = client.take_id();
    client
        .send_publish(
            id,
            topic,
            payload.as_bytes(),
            1,
            false,
            false,
            &[alias(number)],
        )
        .await
        .unwrap();
    client.acked(4, id).await.unwrap()
}

#[tokio::test]
async fn an_alias_stands_for_the_topic_that_it_was_last_sent_with() {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V311, "subscriber").await;
    subscriber.subscribe(&[("#", 1)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for (topic, number, meant) in [
        ("a", 1, "a"),
        ("", 1, "a"),
        ("b/c", 16, "b/c"),
        ("", 1, "a"),
        ("", 16, "b/c"),
        ("d", 1, "d"),
        ("", 1, "d"),
        ("", 16, "b/c"),
        ("d", 16, "d"),
        ("", 16, "d"),
    ] {
        assert_eq!(publish(&mut publisher, topic, number, "x").await, 0);
        let message = subscriber.take(meant).await.unwrap();
        assert_eq!(message.payload, "x");
    }
    subscriber.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn it_works_at_every_qos_and_for_what_is_sent_again() {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    subscriber.subscribe(&[("a", 2)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for (topic, qos, dup) in [
        ("a", 0, false),
        ("", 0, false),
        ("", 1, false),
        ("", 2, false),
        ("", 2, true),
    ] {
        let with = [alias(3)];
        let sent = publisher.send_publish(7, topic, b"x", qos, true, dup, &with);
        sent.await.unwrap();
        match qos {
            0 => publisher.ping().await.unwrap(),
            1 => assert_eq!(publisher.acked(4, 7).await.unwrap(), 0),
            _ => assert_eq!(publisher.acked(5, 7).await.unwrap(), 0),
        }
        if !dup {
            let message = subscriber.take("a").await.unwrap();
            assert_eq!(message.qos, qos);
            // It is the client's own affair.
            assert_eq!(message.properties.get(TOPIC_ALIAS), None);
        }
    }
    subscriber.quiet().await.unwrap();
    let mut later = client(&broker, Version::V5, "later").await;
    later.subscribe(&[("#", 0)]).await.unwrap();
    assert!(later.take("a").await.unwrap().retain);
    broker.stop().await;
}

#[tokio::test]
async fn what_is_no_alias_ends_the_connection() {
    for (maximum, topic, number, reason) in [
        (16, "a", 0, 0x94),
        (16, "", 0, 0x94),
        (16, "a", 17, 0x94),
        (16, "", 17, 0x94),
        (2, "a", 3, 0x94),
        (0, "a", 1, 0x94),
        (16, "", 16, 0x82),
    ] {
        let broker = broker_with(|config| config.limits.topic_aliases = maximum).await;
        let options = partyline_testkit::ConnectOptions::new(Version::V5, "one");
        let (mut client, connack) = connect(&broker, &options).await;
        let told = connack.properties.get(TOPIC_ALIAS_MAXIMUM);
        let expected = Bytes::copy_from_slice(&maximum.to_be_bytes());
        assert_eq!(told, (maximum > 0).then_some(&expected));
        let with = [alias(number)];
        let sent = client.send_publish(1, topic, b"x", 1, false, false, &with);
        sent.await.unwrap();
        assert_eq!(
            client.disconnected().await.unwrap(),
            reason,
            "{topic} {number}"
        );
        client.closed().await.unwrap();
        broker.stop().await;
    }
}

/// [MQTT-3.3.2-7]: not from one connection to another, also where the session goes on.
#[tokio::test]
async fn an_alias_ends_with_its_connection() {
    let broker = broker().await;
    let mut first = broker.client(kept(Version::V5, "one")).await.unwrap();
    assert_eq!(publish(&mut first, "a", 1, "x").await, 0);
    drop(first);
    let (mut second, connack) = connect(&broker, &kept(Version::V5, "one")).await;
    assert!(connack.session_present);
    let with = [alias(1)];
    let sent = second.send_publish(1, "", b"x", 1, false, false, &with);
    sent.await.unwrap();
    assert_eq!(second.disconnected().await.unwrap(), 0x82);
    broker.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_denied_is_denied_by_its_alias() {
    let broker = broker().await;
    let mut client = client(&broker, Version::V5, "one").await;
    for (topic, code) in [("secret/a", 0x87), ("", 0x87), ("allowed", 0), ("", 0)] {
        assert_eq!(publish(&mut client, topic, 1, "x").await, code);
    }
    broker.stop().await;
}

/// A client that takes so many aliases.
async fn taking(broker: &TestBroker, maximum: u16) -> RawClient {
    let options =
        kept(Version::V5, "reader").property(TOPIC_ALIAS_MAXIMUM, maximum.to_be_bytes().to_vec());
    broker.client(options).await.unwrap()
}

/// The next message as it is on the wire: topic, alias and the message itself.
async fn next(client: &mut RawClient) -> (String, Option<u16>, Publish) {
    let message = client.wait_for("a message", |packet| match packet {
        Packet::Publish(publish) => Some(publish.clone()),
        _ => None,
    });
    let message = message.await.unwrap();
    let value = message.properties.get(TOPIC_ALIAS);
    let alias = value.map(|value| u16::from_be_bytes(value[..].try_into().unwrap()));
    (message.topic.clone(), alias, message)
}

#[tokio::test]
async fn a_client_that_takes_aliases_is_sent_a_topic_once() {
    let broker = broker().await;
    let mut reader = taking(&broker, 2).await;
    let subscription = (SUBSCRIPTION_ID, Bytes::from_static(&[9]));
    reader
        .subscribe_with(&[("#", 2)], &[subscription])
        .await
        .unwrap();
    let mut publisher = client(&broker, Version::V311, "publisher").await;
    let (long, longer) = ("a/long/topic", "a/longer/topic");
    for (topic, expected) in [
        (long, (long, Some(1))),
        (long, ("", Some(1))),
        (longer, (longer, Some(2))),
        (longer, ("", Some(2))),
        (long, ("", Some(1))),
        // An alias would not make it shorter.
        ("short", ("short", None)),
        (long, ("", Some(1))),
    ] {
        for qos in 0..=2 {
            publisher
                .publish_done(topic, topic, qos, false)
                .await
                .unwrap();
            let (name, alias, message) = next(&mut reader).await;
            let expected = if qos == 0 || alias.is_none() {
                expected
            } else {
                ("", expected.1)
            };
            assert_eq!((&*name, alias), expected);
            assert_eq!((&message.payload[..], message.qos), (topic.as_bytes(), qos));
            assert_eq!(message.properties.get(SUBSCRIPTION_ID).unwrap()[..], [9]);
            reader.acknowledge(&message).await.unwrap();
        }
    }
    broker.stop().await;
}

/// [MQTT-3.1.2-26], [MQTT-3.1.2-27]
#[tokio::test]
async fn there_are_no_more_aliases_than_both_sides_allow() {
    for (asked, allowed, most) in [
        (0, 16, 0),
        (3, 16, 3),
        (100, 16, 16),
        (100, 5, 5),
        (100, 0, 0),
    ] {
        let broker = broker_with(|config| config.limits.topic_aliases = allowed).await;
        let mut reader = taking(&broker, asked).await;
        reader.subscribe(&[("#", 1)]).await.unwrap();
        let mut publisher = client(&broker, Version::V5, "publisher").await;
        let mut told = std::collections::HashMap::new();
        for number in (0..40).chain((0..40).rev()) {
            let topic = format!("a/topic/with/{number}");
            publisher.publish_done(&topic, "x", 1, false).await.unwrap();
            let (name, alias, message) = next(&mut reader).await;
            let meant = match alias {
                None => name,
                Some(alias) => {
                    assert!((1..=most).contains(&alias), "{alias}");
                    if !name.is_empty() {
                        told.insert(alias, name);
                    }
                    told[&alias].clone()
                }
            };
            assert_eq!(meant, topic);
            reader.acknowledge(&message).await.unwrap();
        }
        assert_eq!(told.len(), usize::from(most));
        broker.stop().await;
    }
}

#[tokio::test]
async fn what_is_sent_again_on_the_next_connection_has_its_topic() {
    let broker = broker().await;
    let topic = "a/long/topic";
    let mut reader = taking(&broker, 16).await;
    reader.subscribe(&[("#", 1)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for expected in [topic, ""] {
        publisher.publish_done(topic, "x", 1, false).await.unwrap();
        assert_eq!(next(&mut reader).await.0, expected);
    }
    drop(reader);
    let mut reader = taking(&broker, 16).await;
    for _ in 0..2 {
        let (name, _, message) = next(&mut reader).await;
        assert_eq!((&*name, message.dup), (topic, true));
        reader.acknowledge(&message).await.unwrap();
    }
    for expected in [topic, ""] {
        publisher.publish_done(topic, "x", 1, false).await.unwrap();
        let (name, alias, message) = next(&mut reader).await;
        assert_eq!((&*name, alias), (expected, Some(1)));
        reader.acknowledge(&message).await.unwrap();
    }
    broker.stop().await;
}
