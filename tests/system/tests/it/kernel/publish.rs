//! PUBLISH at every QoS, between all versions.

use bytes::Bytes;
use partyline_testkit::{ConnectOptions, Packet, Property, Version};

use super::property::{
    CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PAYLOAD_FORMAT, RESPONSE_TOPIC, USER_PROPERTY,
};
use super::{VERSIONS, broker, client, connect};

#[tokio::test]
async fn every_qos_between_all_versions() -> anyhow::Result<()> {
    let broker = broker().await;
    for from in VERSIONS {
        for to in VERSIONS {
            let mut publisher = client(&broker, from, "publisher").await;
            let mut subscriber = client(&broker, to, "subscriber").await;
            assert_eq!(subscriber.subscribe(&[("a/+", 2)]).await?, [2]);
            for qos in 0..=2 {
                let id = publisher.publish("a/b", [qos], qos, false).await?;
                match qos {
                    0 => {}
                    1 => assert_eq!(publisher.acked(4, id).await?, 0),
                    _ => {
                        assert_eq!(publisher.acked(5, id).await?, 0);
                        publisher.ack(6, id).await?;
                        assert_eq!(publisher.acked(7, id).await?, 0);
                    }
                }
                let message = subscriber.publish_on("a/b").await?;
                assert_eq!((message.qos, &message.payload[..]), (qos, &[qos][..]));
                assert!(!message.dup && !message.retain);
                match qos {
                    0 => {}
                    1 => subscriber.puback(message.id).await?,
                    _ => {
                        subscriber.ack(5, message.id).await?;
                        assert_eq!(subscriber.acked(6, message.id).await?, 0);
                        subscriber.ack(7, message.id).await?;
                    }
                }
            }
            subscriber.ping().await?;
            let left: Vec<&Packet> = subscriber.unasked().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
    broker.stop().await;
    Ok(())
}

/// MQTT 5 §3.3.2.3.3 forbids no 0: such a message expires at once.
#[tokio::test]
async fn an_expiry_of_zero_is_no_error_and_sends_nothing() -> anyhow::Result<()> {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    subscriber.subscribe(&[("#", 2)]).await?;
    let expiry = |secs: u32| (MESSAGE_EXPIRY, Bytes::from(secs.to_be_bytes().to_vec()));
    let others = [
        (CONTENT_TYPE, Bytes::from_static(b"\x00\x04text")),
        (USER_PROPERTY, Bytes::from_static(b"\x00\x01k\x00\x02vv")),
        (CORRELATION_DATA, Bytes::from_static(b"\x00\x02\x02\x00")),
        (0x01, Bytes::from_static(&[1])),
    ];
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for qos in 0..=2 {
        for (secs, arrives) in [(0, false), (60, true)] {
            let properties = [&others[..], &[expiry(secs)]].concat();
            publisher
                .send_publish(9, "a", b"\x02\0\0\0\0", qos, false, false, &properties)
                .await?;
            match qos {
                0 => publisher.ping().await?,
                1 => assert_eq!(publisher.acked(4, 9).await?, 0),
                _ => {
                    assert_eq!(publisher.acked(5, 9).await?, 0);
                    publisher.ack(6, 9).await?;
                    publisher.acked(7, 9).await?;
                }
            }
            if arrives {
                let message = subscriber.take("a").await?;
                assert_eq!(&message.payload[..], b"\x02\0\0\0\0");
                assert_eq!(message.properties.user("k").as_deref(), Some("vv"));
            }
            subscriber.quiet().await?;
        }
    }
    // Twice is an error all the same ([MQTT 5 §3.3.2.3.3]).
    let twice = [expiry(0), expiry(0)];
    publisher
        .send_publish(9, "a", b"x", 1, false, false, &twice)
        .await?;
    assert!(publisher.disconnected().await? >= 0x80);
    let mut mortal = ConnectOptions::new(Version::V5, "mortal").will("a", b"gone", 1, false);
    for secs in [0, 60] {
        mortal.will_properties = vec![others[0].clone(), expiry(secs)];
        drop(broker.client(mortal.clone()).await?);
    }
    subscriber.take("a").await?;
    subscriber.quiet().await?;
    broker.stop().await;
    Ok(())
}

/// [MQTT-3.3.2-14]; U+0000 and the empty string are no topic names either.
#[tokio::test]
async fn a_response_topic_must_be_a_topic_name() -> anyhow::Result<()> {
    let broker = broker().await;
    for (topic, reason) in [
        (&b"\x00\x03a/+"[..], 0x82),
        (b"\x00\x01#", 0x82),
        (b"\x00\x00", 0x82),
        (b"\x00\x03a\x00b", 0x81),
    ] {
        let property = (RESPONSE_TOPIC, Bytes::copy_from_slice(topic));
        let mut client = client(&broker, Version::V5, "one").await;
        client
            .send_publish(
                1,
                "a",
                b"x",
                1,
                false,
                false,
                std::slice::from_ref(&property),
            )
            .await?;
        assert_eq!(client.disconnected().await?, reason);
        let mut mortal = ConnectOptions::new(Version::V5, "one").will("a", b"gone", 1, false);
        mortal.will_properties = vec![property];
        let (_, connack) = connect(&broker, &mortal).await;
        assert_eq!(connack.code, reason);
    }
    broker.stop().await;
    Ok(())
}

/// Every property of a message that is its publisher's own, in the order of the codec; user
/// properties repeat a name and are not sorted.
fn of_the_message() -> Vec<Property> {
    let pair = |name: &str, value: &str| {
        let text = |text: &str| [&[0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        (
            USER_PROPERTY,
            Bytes::from([text(name), text(value)].concat()),
        )
    };
    vec![
        (PAYLOAD_FORMAT, Bytes::from_static(&[1])),
        (CONTENT_TYPE, Bytes::from_static(b"\x00\x04text")),
        (RESPONSE_TOPIC, Bytes::from_static(b"\x00\x03r/t")),
        (
            CORRELATION_DATA,
            Bytes::from_static(b"\x00\x03\x00\xff\x01"),
        ),
        pair("z", "1"),
        pair("a", ""),
        pair("z", "1"),
        pair("z", "0"),
        pair("", "\u{1f389}"),
    ]
}

fn sorted(properties: &[Property]) -> Vec<Property> {
    let mut sorted = properties.to_vec();
    // Stable: what has one identifier keeps its order.
    sorted.sort_by_key(|(id, _)| *id);
    sorted
}

/// [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20]; the broker does not look
/// into the payload, so that one that is no UTF-8 whatever its publisher says is its receivers' affair.
#[tokio::test]
async fn properties_are_forwarded_unaltered_and_in_order() -> anyhow::Result<()> {
    let broker = broker().await;
    let properties = of_the_message();
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    let mut older = client(&broker, Version::V311, "older").await;
    for reader in [&mut subscriber, &mut older] {
        reader.subscribe(&[("+", 2)]).await?;
    }
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    for qos in 0..=2 {
        let sent = publisher.send_publish(1, "a", b"\xff", qos, true, false, &properties);
        sent.await?;
        if qos == 2 {
            publisher.acked(5, 1).await?;
            publisher.ack(6, 1).await?;
            publisher.acked(7, 1).await?;
        } else if qos == 1 {
            assert_eq!(publisher.acked(4, 1).await?, 0);
        }
        let message = subscriber.take("a").await?;
        assert_eq!(sorted(&message.properties.0), sorted(&properties));
        assert_eq!(&message.payload[..], b"\xff");
        assert_eq!(&older.take("a").await?.payload[..], b"\xff");
        let mut late = client(&broker, Version::V5, "late").await;
        late.subscribe(&[("a", 2)]).await?;
        let kept = late.take("a").await?;
        assert!(kept.retain);
        assert_eq!(sorted(&kept.properties.0), sorted(&properties));
    }
    let mut mortal = ConnectOptions::new(Version::V5, "mortal").will("will", b"gone", 1, false);
    mortal.will_properties.clone_from(&properties);
    drop(broker.client(mortal).await?);
    let will = subscriber.take("will").await?;
    assert_eq!(sorted(&will.properties.0), sorted(&properties));
    broker.stop().await;
    Ok(())
}

/// What is no property of the message itself is not sent on.
#[tokio::test]
async fn without_properties_none_are_made_up() -> anyhow::Result<()> {
    let broker = broker().await;
    let mut subscriber = client(&broker, Version::V5, "subscriber").await;
    subscriber.subscribe(&[("#", 2)]).await?;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for qos in 0..=2 {
            publisher.publish_done("a", "x", qos, false).await?;
            assert_eq!(subscriber.take("a").await?.properties.0, []);
        }
    }
    broker.stop().await;
    Ok(())
}
