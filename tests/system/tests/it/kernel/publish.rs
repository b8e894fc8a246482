//! PUBLISH at every QoS, between all versions.

use bytes::Bytes;
use partyline_testkit::{ConnectOptions, Packet, Version};

use super::property::{
    CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, RESPONSE_TOPIC, USER_PROPERTY,
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
