//! Shared subscriptions (MQTT 5 §4.8.2), which MQTT 3.1 and 3.1.1 clients may have too.

use bytes::Bytes;
use partyline_testkit::{ConnectOptions, Packet, Publish, RawClient, TestBroker, Version};

use super::property::{RECEIVE_MAXIMUM, SUBSCRIPTION_ID};
use super::{VERSIONS, broker, broker_with, by_version, client, connect, kept};

/// Every PUBLISH that has come by now, acknowledged.
async fn received(client: &mut RawClient) -> Vec<Publish> {
    // The first PINGRESP may overtake what was queued just before it; the second cannot.
    client.ping().await.unwrap();
    client.ping().await.unwrap();
    let messages = client
        .unasked()
        .filter(|one| matches!(one, Packet::Publish(_)));
    let mut taken = Vec::new();
    for _ in 0..messages.count() {
        let message = client.wait_for("a message", |packet| match packet {
            Packet::Publish(publish) => Some(publish.clone()),
            _ => None,
        });
        let message = message.await.unwrap();
        client.acknowledge(&message).await.unwrap();
        taken.push(message);
    }
    taken
}

fn payloads(messages: &[Publish]) -> Vec<u8> {
    messages.iter().map(|message| message.payload[0]).collect()
}

async fn publish(publisher: &mut RawClient, topic: &str, numbers: std::ops::Range<u8>, qos: u8) {
    for number in numbers {
        publisher
            .publish_done(topic, [number], qos, false)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn one_of_a_group_gets_each_message_in_turn() {
    let broker = broker().await;
    for version in VERSIONS {
        for filter in ["$share/g/a/b", "$share/g/a/+", "$share/g/#"] {
            let mut members = Vec::new();
            for name in ["one", "two", "three"] {
                let mut member = client(&broker, version, name).await;
                assert_eq!(member.subscribe(&[(filter, 2)]).await.unwrap(), [2]);
                members.push(member);
            }
            let mut publisher = client(&broker, version, "publisher").await;
            let mut all = Vec::new();
            publish(&mut publisher, "a/b", 0..9, 1).await;
            for member in &mut members {
                let messages = received(member).await;
                assert_eq!(messages.len(), 3, "{version:?} {filter}");
                assert!(messages.iter().all(|message| message.topic == "a/b"));
                assert!(payloads(&messages).is_sorted());
                all.extend(payloads(&messages));
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..9));
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn each_group_and_each_plain_subscription_gets_a_copy() {
    let broker = broker().await;
    let mut one = client(&broker, Version::V5, "one").await;
    // The same name over another filter is another group.
    for filter in ["a", "a/#", "$share/g/a", "$share/h/a", "$share/g/+"] {
        one.subscribe(&[(filter, 1)]).await.unwrap();
    }
    let mut two = client(&broker, Version::V311, "two").await;
    for filter in ["+", "$share/i/a"] {
        two.subscribe(&[(filter, 1)]).await.unwrap();
    }
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publish(&mut publisher, "a", 0..1, 1).await;
    assert_eq!(received(&mut one).await.len(), 1 + 3);
    assert_eq!(received(&mut two).await.len(), 2);
    broker.stop().await;
}

/// [MQTT-4.8.2-1], [MQTT-4.8.2-2], and the `$` topics that nobody shares.
#[tokio::test]
async fn the_name_of_a_group_and_its_filter_have_rules() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        for (filter, code) in [
            ("$share/g/a", 1),
            ("$share/g//", 1),
            ("$share/g/#", 1),
            ("$share/g/+/a", 1),
            ("$share//a", 0x8f),
            ("$share/g", 0x8f),
            ("$share/g/", 0x8f),
            ("$share/g+/a", 0x8f),
            ("$share/+/a", 0x8f),
            ("$share/#", 0x8f),
            ("$share/g/a/#/b", 0x8f),
            ("$share/g/a#", 0x8f),
            ("$share/g/$share/h/a", 0x8f),
            ("$share/g/$SYS/#", 0x9e),
            ("$share/g/$im/inbox", 0x9e),
            ("$share/g/secret/a", 0x87),
        ] {
            let code = if code < 0x80 {
                code
            } else {
                by_version(version, code, 0x80)
            };
            let codes = client.subscribe(&[(filter, 1)]).await.unwrap();
            assert_eq!(codes, [code], "{version:?} {filter}");
        }
    }
    broker.stop().await;
}

/// [MQTT-3.8.3-4]
#[tokio::test]
async fn no_local_on_one_is_a_protocol_error() {
    let broker = broker().await;
    let mut client = client(&broker, Version::V5, "one").await;
    let body = b"\x00\x01\x00\x00\x01a\x01\x00\x0a$share/g/a\x05";
    client.send_packet(0x82, body).await.unwrap();
    assert_eq!(client.disconnected().await.unwrap(), 0x82);
    client.closed().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn ones_own_messages_come_too() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client.subscribe(&[("$share/g/a", 1)]).await.unwrap();
        publish(&mut client, "a", 0..1, 1).await;
        client.take("a").await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn there_are_no_retained_messages_for_it_but_live_ones() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a", "old", 1, true).await.unwrap();
        let mut member = client(&broker, version, "member").await;
        for _ in 0..2 {
            member
                .subscribe(&[("$share/g/a", 1), ("$share/h/#", 1)])
                .await
                .unwrap();
            member.quiet().await.unwrap();
        }
        publisher.publish_done("a", "new", 1, true).await.unwrap();
        let messages = received(&mut member).await;
        assert_eq!(messages.len(), 2);
        assert!(
            messages
                .iter()
                .all(|one| !one.retain && one.payload == "new")
        );
    }
    broker.stop().await;
}

#[tokio::test]
async fn the_lower_qos_of_both_is_used_and_identifiers_are_named() {
    let broker = broker().await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for asked in 0..=2 {
        let mut member = client(&broker, Version::V5, "member").await;
        let number = Bytes::from_static(&[42]);
        let property = (SUBSCRIPTION_ID, number.clone());
        let subscribed = member
            .subscribe_with(&[("$share/g/a", asked)], &[property])
            .await;
        assert_eq!(subscribed.unwrap(), [asked]);
        for qos in 0..=2 {
            publish(&mut publisher, "a", 0..1, qos).await;
            let message = member.take("a").await.unwrap();
            assert_eq!(message.qos, asked.min(qos));
            assert_eq!(message.properties.get(SUBSCRIPTION_ID), Some(&number));
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn one_that_is_repeated_in_a_packet_is_answered_with_the_qos_of_each() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut member = client(&broker, version, "member").await;
        let filters = [("$share/g/a", 2), ("$share/g/a", 1)];
        assert_eq!(member.subscribe(&filters).await.unwrap(), [2, 1]);
        let mut publisher = client(&broker, version, "publisher").await;
        publish(&mut publisher, "a", 0..1, 2).await;
        let messages = received(&mut member).await;
        assert_eq!((messages.len(), messages[0].qos), (1, 1));
    }
    broker.stop().await;
}

#[tokio::test]
async fn who_unsubscribes_gets_no_more_and_the_others_all() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut one = client(&broker, version, "one").await;
        let mut two = client(&broker, version, "two").await;
        for member in [&mut one, &mut two] {
            member
                .subscribe(&[("$share/g/a/+", 1), ("$share/g/b", 1)])
                .await
                .unwrap();
        }
        let codes = one
            .unsubscribe(&["$share/g/a/+", "$share/h/b", "b"])
            .await
            .unwrap();
        if version == Version::V5 {
            assert_eq!(codes, [0, 0x11, 0x11]);
        }
        let mut publisher = client(&broker, version, "publisher").await;
        publish(&mut publisher, "a/x", 0..4, 1).await;
        assert_eq!(payloads(&received(&mut two).await), [0, 1, 2, 3]);
        one.quiet().await.unwrap();
        publish(&mut publisher, "b", 0..4, 1).await;
        assert_eq!(received(&mut one).await.len(), 2);
        assert_eq!(received(&mut two).await.len(), 2);
        // The last one ends the group.
        two.unsubscribe(&["$share/g/a/+"]).await.unwrap();
        publish(&mut publisher, "a/x", 0..1, 1).await;
        two.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn they_count_among_the_subscriptions_of_a_session() {
    let broker = broker_with(|config| config.limits.subscriptions = 2).await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let filters = [("$share/g/a", 1), ("$share/h/a", 1), ("$share/i/a", 1)];
        let refused = by_version(version, 0x97, 0x80);
        assert_eq!(client.subscribe(&filters).await.unwrap(), [1, 1, refused]);
    }
    broker.stop().await;
}

#[tokio::test]
async fn who_is_connected_goes_before_who_is_not() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut sleeper = broker.client(kept(version, "sleeper")).await.unwrap();
        let mut awake = client(&broker, version, "awake").await;
        for member in [&mut sleeper, &mut awake] {
            member.subscribe(&[("$share/g/a", 1)]).await.unwrap();
        }
        sleeper.disconnect(0).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publish(&mut publisher, "a", 0..4, 1).await;
        assert_eq!(payloads(&received(&mut awake).await), [0, 1, 2, 3]);
        awake.disconnect(0).await.unwrap();
        // Nobody else is left.
        publish(&mut publisher, "a", 4..6, 1).await;
        let (mut sleeper, _) = connect(&broker, &kept(version, "sleeper")).await;
        assert_eq!(payloads(&received(&mut sleeper).await), [4, 5]);
        client(&broker, version, "sleeper")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn who_comes_back_is_in_turn_again() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut awake = client(&broker, version, "awake").await;
        awake.subscribe(&[("$share/g/a", 1)]).await.unwrap();
        for number in 0..50 {
            let mut sleeper = broker
                .client(kept(version, &format!("{number}")))
                .await
                .unwrap();
            sleeper.subscribe(&[("$share/g/a", 1)]).await.unwrap();
            sleeper.disconnect(0).await.unwrap();
        }
        let mut publisher = client(&broker, version, "publisher").await;
        publish(&mut publisher, "a", 0..60, 1).await;
        assert_eq!(received(&mut awake).await.len(), 60);
        let (mut back, _) = connect(&broker, &kept(version, "7")).await;
        publish(&mut publisher, "a", 0..4, 1).await;
        assert_eq!(received(&mut awake).await.len(), 2);
        assert_eq!(received(&mut back).await.len(), 2);
        awake.disconnect(0).await.unwrap();
        publish(&mut publisher, "a", 0..4, 1).await;
        assert_eq!(received(&mut back).await.len(), 4);
        for number in 0..50 {
            client(&broker, version, &format!("{number}")).await;
        }
    }
    broker.stop().await;
}

/// Its queue of two is full, and so is what it may have unacknowledged.
#[tokio::test]
async fn who_has_no_room_is_passed_over() {
    let broker = broker_with(|config| config.limits.queued_messages = 2).await;
    for version in VERSIONS {
        let narrow = ConnectOptions::new(version, "full")
            .property(RECEIVE_MAXIMUM, 1_u16.to_be_bytes().to_vec());
        let window = if version == Version::V5 { 1 } else { 100 };
        let mut full = broker.client(narrow).await.unwrap();
        full.subscribe(&[("$share/g/a", 1), ("fill", 1)])
            .await
            .unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        for _ in 0..window + 2 {
            publish(&mut publisher, "fill", 0..1, 1).await;
            // So that it is sent before the next one comes.
            full.ping().await.unwrap();
        }
        let mut free = client(&broker, version, "free").await;
        free.subscribe(&[("$share/g/a", 1)]).await.unwrap();
        for number in 0..4 {
            publish(&mut publisher, "a", number..number + 1, 1).await;
            assert_eq!(payloads(&received(&mut free).await), [number]);
        }
    }
    broker.stop().await;
}

/// A session that lost its connection with five messages of this QoS unacknowledged, three of them
/// never sent in MQTT 5, and another member that came after them.
async fn left_behind(broker: &TestBroker, version: Version, qos: u8) -> RawClient {
    let window = 2_u16.to_be_bytes().to_vec();
    let options = kept(version, "first").property(RECEIVE_MAXIMUM, window);
    let mut first = broker.client(options).await.unwrap();
    first.subscribe(&[("$share/g/a", 2)]).await.unwrap();
    let mut publisher = client(broker, Version::V5, "publisher").await;
    publish(&mut publisher, "a", 0..5, qos).await;
    for _ in 0..2 {
        first.publish_on("a").await.unwrap();
    }
    let mut second = client(broker, version, "second").await;
    second.subscribe(&[("$share/g/a", 2)]).await.unwrap();
    drop(first);
    second
}

#[tokio::test]
async fn what_an_ended_session_did_not_acknowledge_goes_to_another_of_its_group() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut second = left_behind(&broker, version, 1).await;
        // While its session may come back, everything waits for it.
        second.quiet().await.unwrap();
        let mut fresh = client(&broker, version, "first").await;
        let messages = received(&mut second).await;
        assert_eq!(payloads(&messages), [0, 1, 2, 3, 4], "{version:?}");
        let new = |message: &Publish| !message.dup && message.qos == 1;
        assert!(messages.iter().all(new));
        fresh.quiet().await.unwrap();
    }
    broker.stop().await;
}

/// [MQTT-4.8.2-4], [MQTT-4.8.2-5]
#[tokio::test]
async fn what_was_sent_at_qos_2_is_completed_to_the_same_session_or_ends_with_it() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut first = broker.client(kept(version, "first")).await.unwrap();
        let mut second = client(&broker, version, "second").await;
        first.subscribe(&[("$share/g/a", 2)]).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publish(&mut publisher, "a", 0..2, 2).await;
        let sent = [
            first.publish_on("a").await.unwrap(),
            first.publish_on("a").await.unwrap(),
        ];
        second.subscribe(&[("$share/g/a", 2)]).await.unwrap();
        drop(first);
        let mut first = broker.client(kept(version, "first")).await.unwrap();
        for before in sent {
            let again = first.publish_on("a").await.unwrap();
            assert_eq!((again.id, again.dup), (before.id, true));
        }
        drop(first);
        client(&broker, version, "first").await;
        second.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn what_was_never_sent_at_qos_2_goes_to_another() {
    let broker = broker().await;
    let mut second = left_behind(&broker, Version::V5, 2).await;
    client(&broker, Version::V5, "first").await;
    assert_eq!(payloads(&received(&mut second).await), [2, 3, 4]);
    broker.stop().await;
}

#[tokio::test]
async fn a_session_that_ends_with_its_connection_leaves_nothing_behind() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut first = client(&broker, version, "first").await;
        first.subscribe(&[("$share/g/a", 1)]).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publish(&mut publisher, "a", 0..3, 1).await;
        for _ in 0..3 {
            first.publish_on("a").await.unwrap();
        }
        let mut second = client(&broker, version, "second").await;
        second.subscribe(&[("$share/g/a", 0)]).await.unwrap();
        first.disconnect(0).await.unwrap();
        let messages = received(&mut second).await;
        assert_eq!(payloads(&messages), [0, 1, 2]);
        assert!(messages.iter().all(|message| message.qos == 0));
    }
    broker.stop().await;
}

/// [MQTT-4.8.2-6]
#[tokio::test]
async fn what_its_receiver_refuses_goes_to_nobody_else() {
    let broker = broker().await;
    let mut first = client(&broker, Version::V5, "first").await;
    first.subscribe(&[("$share/g/a", 2)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for (qos, first_byte) in [(1, 0x40), (2, 0x50)] {
        publish(&mut publisher, "a", 0..1, qos).await;
        let message = first.publish_on("a").await.unwrap();
        let [high, low] = message.id.to_be_bytes();
        first
            .send_packet(first_byte, &[high, low, 0x83])
            .await
            .unwrap();
    }
    first.ping().await.unwrap();
    let mut second = client(&broker, Version::V5, "second").await;
    second.subscribe(&[("$share/g/a", 2)]).await.unwrap();
    first.disconnect(0).await.unwrap();
    second.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn another_app_has_groups_of_its_own() {
    let broker = broker().await;
    let mut ours = client(&broker, Version::V5, "member").await;
    let other =
        ConnectOptions::new(Version::V5, "member").login(partyline_system_tests::OTHER_APP, "");
    let mut theirs = broker.client(other).await.unwrap();
    for member in [&mut ours, &mut theirs] {
        member.subscribe(&[("$share/g/a", 1)]).await.unwrap();
    }
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publish(&mut publisher, "a", 0..3, 1).await;
    assert_eq!(received(&mut ours).await.len(), 3);
    theirs.quiet().await.unwrap();
    broker.stop().await;
}
