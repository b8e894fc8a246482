//! In-flight messages over reconnects, and packet ids.

use partyline_testkit::{Packet, RawClient, TestBroker, Version};

use super::property::RECEIVE_MAXIMUM;
use super::{VERSIONS, broker, client, connect, kept};

/// A kept session that has been sent these QoS levels, in order, and acknowledged none.
async fn sent(broker: &TestBroker, version: Version, levels: &[u8]) -> (RawClient, Vec<u16>) {
    let mut receiver = broker.client(kept(version, "receiver")).await.unwrap();
    receiver.subscribe(&[("a", 2)]).await.unwrap();
    let mut publisher = client(broker, version, "publisher").await;
    let mut ids = Vec::new();
    for (index, qos) in (0..).zip(levels) {
        publisher
            .publish_done("a", [index], *qos, false)
            .await
            .unwrap();
        let message = receiver.publish_on("a").await.unwrap();
        assert_eq!((&message.payload[..], message.qos), (&[index][..], *qos));
        ids.push(message.id);
    }
    (receiver, ids)
}

/// Forgets the session, for the next round.
async fn forget(broker: &TestBroker, version: Version) {
    client(broker, version, "receiver")
        .await
        .disconnect(0)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_in_order_with_dup() {
    let broker = broker().await;
    for version in VERSIONS {
        let (mut receiver, ids) = sent(&broker, version, &[1, 2, 2, 1, 1]).await;
        receiver.ack(5, ids[2]).await.unwrap();
        receiver.acked(6, ids[2]).await.unwrap();
        receiver.puback(ids[3]).await.unwrap();
        receiver.ping().await.unwrap();
        drop(receiver);
        let (mut receiver, _) = connect(&broker, &kept(version, "receiver")).await;
        for index in [0, 1, 2, 4] {
            let (id, place) = (ids[usize::from(index)], index);
            match receiver.next().await.unwrap() {
                Packet::Ack(6, of, 0) if place == 2 => assert_eq!(of, id),
                Packet::Publish(message) => {
                    assert_eq!((message.id, &message.payload[..]), (id, &[place][..]));
                    assert!(message.dup, "{version:?}, {place}");
                }
                other => panic!("{version:?}, {place}: {other:?}"),
            }
        }
        receiver.quiet().await.unwrap();
        forget(&broker, version).await;
    }
    broker.stop().await;
}

/// MQTT 5 §4.9: the quota of a new connection holds for what is sent again, too.
#[tokio::test]
async fn sending_again_keeps_to_the_receive_maximum() {
    let broker = broker().await;
    let (receiver, ids) = sent(&broker, Version::V5, &[1, 1, 2, 1]).await;
    drop(receiver);
    let narrow = kept(Version::V5, "receiver").property(RECEIVE_MAXIMUM, &[0, 2][..]);
    let (mut receiver, _) = connect(&broker, &narrow).await;
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publisher.publish_done("a", "new", 1, false).await.unwrap();
    let first = receiver.publish_on("a").await.unwrap();
    let second = receiver.publish_on("a").await.unwrap();
    assert_eq!([first.id, second.id], ids[..2]);
    receiver.quiet().await.unwrap();
    receiver.acknowledge(&second).await.unwrap();
    let third = receiver.publish_on("a").await.unwrap();
    assert_eq!((third.id, third.dup), (ids[2], true));
    receiver.quiet().await.unwrap();
    receiver.acknowledge(&first).await.unwrap();
    let fourth = receiver.publish_on("a").await.unwrap();
    assert_eq!((fourth.id, fourth.dup), (ids[3], true));
    receiver.quiet().await.unwrap();
    receiver.acknowledge(&third).await.unwrap();
    let new = receiver.take("a").await.unwrap();
    assert_eq!((&new.payload[..], new.dup), (&b"new"[..], false));
    receiver.acknowledge(&fourth).await.unwrap();
    receiver.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn acknowledgements_may_come_in_any_order() {
    let broker = broker().await;
    for version in VERSIONS {
        let (mut receiver, ids) = sent(&broker, version, &[1, 1, 1]).await;
        for place in [2, 0, 1] {
            receiver.puback(ids[place]).await.unwrap();
        }
        receiver.quiet().await.unwrap();
        drop(receiver);
        let (mut receiver, _) = connect(&broker, &kept(version, "receiver")).await;
        receiver.quiet().await.unwrap();
        forget(&broker, version).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn packet_ids_go_on_over_reconnects() {
    let broker = broker().await;
    for version in VERSIONS {
        let (mut receiver, ids) = sent(&broker, version, &[1]).await;
        receiver.puback(ids[0]).await.unwrap();
        receiver.disconnect(0).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a", "next", 1, false).await.unwrap();
        let (mut receiver, _) = connect(&broker, &kept(version, "receiver")).await;
        let next = receiver.publish_on("a").await.unwrap();
        assert_eq!(next.id, ids[0].checked_add(1).unwrap_or(1));
        // A late PUBACK of the old connection acknowledges nothing here.
        receiver.puback(ids[0]).await.unwrap();
        receiver.quiet().await.unwrap();
        drop(receiver);
        let (mut receiver, _) = connect(&broker, &kept(version, "receiver")).await;
        let again = receiver.take("a").await.unwrap();
        assert_eq!((again.id, again.dup), (next.id, true));
        forget(&broker, version).await;
    }
    broker.stop().await;
}

/// The kind of acknowledgement must fit: a PUBACK does not end a QoS 2 message.
#[tokio::test]
async fn an_acknowledgement_of_the_wrong_kind_is_ignored() {
    let broker = broker().await;
    for version in VERSIONS {
        let (mut receiver, ids) = sent(&broker, version, &[2, 1]).await;
        receiver.puback(ids[0]).await.unwrap();
        receiver.ack(7, ids[0]).await.unwrap();
        receiver.ack(7, ids[1]).await.unwrap();
        receiver.quiet().await.unwrap();
        drop(receiver);
        let (mut receiver, _) = connect(&broker, &kept(version, "receiver")).await;
        for id in ids {
            assert_eq!(receiver.take("a").await.unwrap().id, id);
        }
        forget(&broker, version).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_qos_2_message_is_delivered_once_however_often_it_comes() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("a", 2)]).await.unwrap();
        let mut publisher = broker.client(kept(version, "publisher")).await.unwrap();
        publisher
            .send_publish(7, "a", b"x", 2, false, false, &[])
            .await
            .unwrap();
        assert_eq!(publisher.acked(5, 7).await.unwrap(), 0);
        publisher
            .send_publish(7, "a", b"x", 2, false, true, &[])
            .await
            .unwrap();
        assert_eq!(publisher.acked(5, 7).await.unwrap(), 0);
        drop(publisher);
        let mut publisher = broker.client(kept(version, "publisher")).await.unwrap();
        publisher
            .send_publish(7, "a", b"x", 2, false, true, &[])
            .await
            .unwrap();
        assert_eq!(publisher.acked(5, 7).await.unwrap(), 0);
        publisher.ack(6, 7).await.unwrap();
        assert_eq!(publisher.acked(7, 7).await.unwrap(), 0);
        assert_eq!(watcher.take("a").await.unwrap().payload, "x");
        watcher.ping().await.unwrap();
        // Once released, the id names a new message.
        publisher
            .send_publish(7, "a", b"y", 2, false, false, &[])
            .await
            .unwrap();
        assert_eq!(publisher.acked(5, 7).await.unwrap(), 0);
        assert_eq!(watcher.take("a").await.unwrap().payload, "y");
        watcher.quiet().await.unwrap();
        client(&broker, version, "publisher")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_unknown_packet_id_is_answered_all_the_same() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client.ack(6, 99).await.unwrap();
        assert_eq!(
            client.acked(7, 99).await.unwrap(),
            super::by_version(version, 0x92, 0)
        );
        client.ack(5, 99).await.unwrap();
        assert_eq!(
            client.acked(6, 99).await.unwrap(),
            super::by_version(version, 0x92, 0)
        );
        client.quiet().await.unwrap();
    }
    broker.stop().await;
}

/// MQTT 5 §4.3.3: a PUBREC with an error ends the message.
#[tokio::test]
async fn a_refused_qos_2_message_is_not_sent_again() {
    let broker = broker().await;
    let (mut receiver, ids) = sent(&broker, Version::V5, &[2]).await;
    let [high, low] = ids[0].to_be_bytes();
    receiver
        .send_packet(0x50, &[high, low, 0x87])
        .await
        .unwrap();
    receiver.quiet().await.unwrap();
    drop(receiver);
    let (mut receiver, _) = connect(&broker, &kept(Version::V5, "receiver")).await;
    receiver.quiet().await.unwrap();
    broker.stop().await;
}
