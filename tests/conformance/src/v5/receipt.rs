//! What follows a PUBLISH: section 3.3.4.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use partyline_testkit::{Packet, Publish, RawClient};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.4 Actions of PUBLISH",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.3.4-1",
        "The receiver answers as the QoS demands: not at all, with PUBACK or with PUBREC.",
    ),
    server(
        "MQTT-3.3.4-2",
        "Where subscriptions of a client overlap, the message comes with the highest QoS of them.",
    ),
    server(
        "MQTT-3.3.4-3",
        "The identifiers of overlapping subscriptions are sent with the message.",
    ),
    server(
        "MQTT-3.3.4-4",
        "A single copy has the identifiers of all subscriptions that match.",
    ),
    server(
        "MQTT-3.3.4-5",
        "Where there are several copies, each has its subscription's identifier.",
    ),
    server(
        "MQTT-3.3.4-6",
        "A client's PUBLISH has no subscription identifier.",
    ),
    client(
        "MQTT-3.3.4-7",
        "A client has no more messages under way than the server's Receive Maximum.",
    ),
    client(
        "MQTT-3.3.4-8",
        "A client at the Receive Maximum delays nothing but PUBLISH.",
    ),
    server(
        "MQTT-3.3.4-9",
        "A server has no more messages under way than the client's Receive Maximum.",
    ),
    server(
        "MQTT-3.3.4-10",
        "A server at the Receive Maximum delays nothing but PUBLISH.",
    ),
];

const CASES: &[Case] = &[
    case!(a_publish_is_answered_as_its_qos_demands, "MQTT-3.3.4-1"),
    case!(
        overlapping_subscriptions_have_the_highest_qos,
        "MQTT-3.3.4-2"
    ),
    case!(
        overlapping_subscriptions_are_all_named,
        "MQTT-3.3.4-3",
        "MQTT-3.3.4-4",
        "MQTT-3.3.4-5"
    ),
    case!(
        an_identifier_is_the_latest_of_its_subscription,
        "MQTT-3.3.4-3"
    ),
    case!(
        a_subscription_identifier_from_a_client_ends_the_connection,
        "MQTT-3.3.4-6"
    ),
    case!(
        no_more_than_the_receive_maximum_is_under_way,
        "MQTT-3.3.4-9"
    ),
    case!(the_receive_maximum_delays_only_messages, "MQTT-3.3.4-10"),
];

async fn a_publish_is_answered_as_its_qos_demands(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    client
        .send_publish(0, &topic, b"message", 0, false, false, &[])
        .await?;
    client.ping().await?;
    ensure!(client.unasked().next().is_none(), "an answer at QoS 0");
    for (qos, kind) in [(1, 4), (2, 5)] {
        client
            .send_publish(7, &topic, b"message", qos, false, false, &[])
            .await?;
        let answer = client.next().await?;
        let right = matches!(answer, Packet::Ack(of, 7, 0 | 0x10) if of == kind);
        ensure!(right, "{answer:?} at QoS {qos}");
    }
    Ok(())
}

/// The copies of the next message: as many as come before a marker.
async fn copies(
    stage: &Stage,
    publisher: &mut RawClient,
    subscriber: &mut RawClient,
    topic: &str,
    qos: u8,
) -> Result<Vec<Publish>> {
    publisher.publish_done(topic, "message", qos, false).await?;
    let mut copies = vec![subscriber.take(topic).await?];
    let marker = stage.topic("marker");
    subscriber.subscribe(&[(&marker, qos)]).await?;
    publisher.publish_done(&marker, "", qos, false).await?;
    loop {
        let next = subscriber
            .wait_for("a copy or the marker", |packet| match packet {
                Packet::Publish(message) => Some(message.clone()),
                _ => None,
            })
            .await?;
        subscriber.acknowledge(&next).await?;
        if next.topic == marker {
            return Ok(copies);
        }
        copies.push(next);
    }
}

async fn overlapping_subscriptions_have_the_highest_qos(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let (plus, hash) = (stage.topic("a/+"), stage.topic("a/#"));
    let mut publisher = stage.client("publisher").await?;
    for granted in [[0, 1, 2], [2, 1, 0], [1, 0, 0], [0, 0, 0]] {
        let filters = [
            (&*topic, granted[0]),
            (&*plus, granted[1]),
            (&*hash, granted[2]),
        ];
        let mut subscriber = stage.subscriber("subscriber", &filters).await?;
        let most = granted.iter().max().copied().unwrap_or_default();
        let copies = copies(&stage, &mut publisher, &mut subscriber, &topic, 2).await?;
        let highest = copies.iter().map(|copy| copy.qos).max();
        ensure!(highest == Some(most), "{copies:?} for {granted:?}");
        ensure!(copies.len() <= 3, "{copies:?}");
    }
    Ok(())
}

/// SUBSCRIBE with a subscription identifier.
async fn subscribe(client: &mut RawClient, id: &[u8], filter: &str, qos: u8) -> Result<()> {
    let properties = [&[0x0b], id].concat();
    let body = wire::subscribe(500, &properties, &[(filter.as_bytes(), qos)]);
    client.send_packet(0x82, &body).await?;
    client
        .wait_for("SUBACK", |packet| {
            matches!(packet, Packet::SubAck(500, codes) if *codes == [qos]).then_some(())
        })
        .await
}

fn identifiers(message: &Publish) -> Vec<&[u8]> {
    { message.properties.0.iter() }
        .filter(|(id, _)| *id == 0x0b)
        .map(|(_, value)| &value[..])
        .collect()
}

async fn overlapping_subscriptions_are_all_named(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let mut subscriber = stage.client("subscriber").await?;
    let mut publisher = stage.client("publisher").await?;
    let ids: [(&[u8], &str); 3] = [
        (&[1], "a/b"),
        (&[0x80, 1], "a/+"),
        (&[0xff, 0xff, 0xff, 0x7f], "a/#"),
    ];
    for (id, name) in ids {
        subscribe(&mut subscriber, id, &stage.topic(name), 1).await?;
    }
    // One has none, and one does not match.
    let top = stage.topic("+/b");
    subscriber.subscribe(&[(&top, 1)]).await?;
    subscribe(&mut subscriber, &[9], &stage.topic("a/c"), 1).await?;
    let copies = copies(&stage, &mut publisher, &mut subscriber, &topic, 1).await?;
    let single = copies.len() == 1;
    let mut named = BTreeSet::new();
    for copy in &copies {
        let of_this = identifiers(copy);
        ensure!(single || of_this.len() <= 1, "{copies:?}");
        for id in of_this {
            ensure!(named.insert(id.to_vec()), "{id:02x?} twice in {copies:?}");
        }
    }
    let expected: BTreeSet<_> = ids.iter().map(|(id, _)| id.to_vec()).collect();
    ensure!(named == expected, "{named:02x?}, not {expected:02x?}");
    Ok(())
}

async fn an_identifier_is_the_latest_of_its_subscription(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.client("subscriber").await?;
    let mut publisher = stage.client("publisher").await?;
    for id in [5, 6] {
        subscribe(&mut subscriber, &[id], &topic, 1).await?;
        publisher.publish_done(&topic, "message", 1, false).await?;
        let message = subscriber.take(&topic).await?;
        let [came] = identifiers(&message)[..] else {
            bail!("{message:?}, not {id}")
        };
        ensure!(came == [id], "{message:?}, not {id}");
    }
    subscriber.subscribe(&[(&topic, 1)]).await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(identifiers(&message).is_empty(), "{message:?}");
    Ok(())
}

async fn a_subscription_identifier_from_a_client_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    let publish = wire::publish(topic.as_bytes(), 1, &[0x0b, 1], b"message");
    client.send_packet(0x32, &publish).await?;
    cut(&mut client).await
}

async fn no_more_than_the_receive_maximum_is_under_way(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    for most in [1, 3_u8] {
        let options = stage.options("subscriber");
        let options = options.property(0x21, vec![0, most]);
        let mut subscriber = stage.connected(&options).await?;
        subscriber.subscribe(&[(&topic, 2)]).await?;
        for number in 0..8_u8 {
            let qos = 1 + number % 2;
            publisher.publish_done(&topic, [number], qos, false).await?;
        }
        let mut under_way = Vec::new();
        for number in 0..8 {
            if under_way.len() == usize::from(most) {
                // What came by now is all that may have.
                subscriber.ping().await?;
                let more = subscriber.unasked().next();
                ensure!(more.is_none(), "{more:?} above {most}");
                let first = under_way.remove(0);
                subscriber.acknowledge(&first).await?;
            }
            let message = subscriber.publish_on(&topic).await?;
            ensure!(message.payload == [number][..], "{message:?}");
            under_way.push(message);
        }
    }
    Ok(())
}

async fn the_receive_maximum_delays_only_messages(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let options = stage.options("client").property(0x21, vec![0, 1]);
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(&topic, 2)]).await?;
    for _ in 0..2 {
        publisher.publish_done(&topic, "message", 2, false).await?;
    }
    client.publish_on(&topic).await?;
    let other = stage.topic("other");
    client.ping().await?;
    client.subscribe(&[(&other, 0)]).await?;
    client.publish_done(&other, "own", 2, false).await?;
    client.unsubscribe(&[&other]).await?;
    client.publish_done(&other, "own", 1, false).await?;
    Ok(())
}
