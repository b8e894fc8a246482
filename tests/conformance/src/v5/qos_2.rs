//! QoS 2: section 4.3.3.

use std::collections::HashSet;

use anyhow::{Result, bail, ensure};
use partyline_testkit::{Packet, Property};

use super::clock::pass;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.3.3 QoS 2",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.3.3-1",
        "The sender gives each new message an unused packet identifier.",
    ),
    server(
        "MQTT-4.3.3-2",
        "The sender sends a PUBLISH with this identifier, QoS 2 and DUP 0.",
    ),
    server(
        "MQTT-4.3.3-3",
        "The PUBLISH is unacknowledged until its PUBREC came.",
    ),
    server(
        "MQTT-4.3.3-4",
        "A PUBREC below 0x80 is answered with a PUBREL with the identifier of the PUBLISH.",
    ),
    server(
        "MQTT-4.3.3-5",
        "The PUBREL is unacknowledged until its PUBCOMP came.",
    ),
    server(
        "MQTT-4.3.3-6",
        "After the PUBREL the PUBLISH is not sent again.",
    ),
    server(
        "MQTT-4.3.3-7",
        "A message does not expire once its PUBLISH was sent.",
    ),
    server(
        "MQTT-4.3.3-8",
        "The receiver, having taken the message over, answers with a PUBREC with its identifier.",
    ),
    server(
        "MQTT-4.3.3-9",
        "After a PUBREC of 0x80 or more, a PUBLISH with that identifier is a new message.",
    ),
    server(
        "MQTT-4.3.3-10",
        "Until the PUBREL, a PUBLISH with that identifier is answered with PUBREC and not delivered again.",
    ),
    server(
        "MQTT-4.3.3-11",
        "A PUBREL is answered with a PUBCOMP with its identifier.",
    ),
    server(
        "MQTT-4.3.3-12",
        "After the PUBCOMP a PUBLISH with that identifier is a new message.",
    ),
    server(
        "MQTT-4.3.3-13",
        "The exchange goes on even if the message has expired.",
    ),
];

const CASES: &[Case] = &[
    case!(
        qos_2_is_released_after_its_pubrec,
        "MQTT-4.3.3-1",
        "MQTT-4.3.3-2",
        "MQTT-4.3.3-4"
    ),
    case!(qos_2_is_held_until_its_pubrec, "MQTT-4.3.3-3"),
    case!(
        after_pubrel_the_publish_is_not_sent_again,
        "MQTT-4.3.3-5",
        "MQTT-4.3.3-6"
    ),
    case!(what_was_sent_does_not_expire, "MQTT-4.3.3-7"),
    case!(
        a_repeated_message_is_delivered_once,
        "MQTT-4.3.3-8",
        "MQTT-4.3.3-10",
        "MQTT-4.3.3-11"
    ),
    case!(
        a_repetition_on_the_next_connection_is_delivered_once,
        "MQTT-4.3.3-10"
    ),
    case!(after_a_refusal_an_identifier_is_new, "MQTT-4.3.3-9"),
    case!(every_pubrel_is_answered, "MQTT-4.3.3-11"),
    case!(after_pubcomp_an_identifier_is_new, "MQTT-4.3.3-12"),
    case!(an_expired_message_is_still_acknowledged, "MQTT-4.3.3-13"),
];

async fn qos_2_is_released_after_its_pubrec(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut messages = Vec::new();
    for payload in ["one", "two", "three"] {
        publisher.publish_done(&topic, payload, 2, false).await?;
        let message = subscriber.publish_on(&topic).await?;
        ensure!(message.qos == 2 && !message.dup, "{message:?}");
        messages.push(message);
    }
    let ids: HashSet<u16> = messages.iter().map(|message| message.id).collect();
    ensure!(ids.len() == 3, "{messages:?}");
    for (message, reason) in messages.iter().rev().zip([&[][..], &[0x00], &[0x10]]) {
        // Nothing is released before its PUBREC.
        subscriber.ping().await?;
        let early: Vec<&Packet> = subscriber.unasked().collect();
        ensure!(early.is_empty(), "{early:?}");
        let body = [&message.id.to_be_bytes(), reason].concat();
        subscriber.send_packet(0x50, &body).await?;
        let release = subscriber.next().await?;
        ensure!(release == Packet::Ack(6, message.id, 0), "{release:?}");
    }
    for message in &messages {
        subscriber.ack(7, message.id).await?;
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn qos_2_is_held_until_its_pubrec(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    publisher.publish_done(&topic, "message", 2, false).await?;
    let first = subscriber.publish_on(&topic).await?;
    for _ in 0..2 {
        drop(subscriber);
        subscriber = stage.connected(&options).await?;
        let again = subscriber.publish_on(&topic).await?;
        let same = (again.id, &again.payload) == (first.id, &first.payload);
        ensure!(same && again.dup && again.qos == 2, "{again:?}");
    }
    subscriber.acknowledge(&first).await?;
    subscriber.ping().await?;
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn after_pubrel_the_publish_is_not_sent_again(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    publisher.publish_done(&topic, "message", 2, false).await?;
    let message = subscriber.publish_on(&topic).await?;
    subscriber.ack(5, message.id).await?;
    subscriber.acked(6, message.id).await?;
    for _ in 0..2 {
        drop(subscriber);
        subscriber = stage.connected(&options).await?;
        let again = subscriber.next().await?;
        ensure!(again == Packet::Ack(6, message.id, 0), "{again:?}");
    }
    subscriber.ack(7, message.id).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await?;
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

fn expiry(seconds: u8) -> [Property; 1] {
    [(0x02, vec![0, 0, 0, seconds].into())]
}

async fn what_was_sent_does_not_expire(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    publisher
        .send_publish(1, &topic, b"message", 2, false, false, &expiry(1))
        .await?;
    publisher.acked(5, 1).await?;
    publisher.ack(6, 1).await?;
    let first = subscriber.publish_on(&topic).await?;
    drop(subscriber);
    pass(&stage, 3).await?;
    let mut subscriber = stage.connected(&options).await?;
    let again = subscriber.publish_on(&topic).await?;
    ensure!(again.id == first.id && again.dup, "{again:?}");
    subscriber.acknowledge(&again).await
}

async fn a_repeated_message_is_delivered_once(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for dup in [false, true, true] {
        publisher
            .send_publish(5, &topic, b"message", 2, false, dup, &[])
            .await?;
        let answer = publisher.next().await?;
        ensure!(answer == Packet::Ack(5, 5, 0), "{answer:?}");
    }
    publisher.ack(6, 5).await?;
    let answer = publisher.next().await?;
    ensure!(answer == Packet::Ack(7, 5, 0), "{answer:?}");
    subscriber.take(&topic).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_repetition_on_the_next_connection_is_delivered_once(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut other = stage.client("other").await?;
    let options = stage.lasting("publisher");
    for dup in [false, true, true] {
        let mut publisher = stage.connected(&options).await?;
        publisher
            .send_publish(5, &topic, b"message", 2, false, dup, &[])
            .await?;
        publisher.acked(5, 5).await?;
    }
    let mut publisher = stage.connected(&options).await?;
    publisher.ack(6, 5).await?;
    let reason = publisher.acked(7, 5).await?;
    ensure!(reason == 0, "PUBCOMP {reason:#04x}");
    subscriber.take(&topic).await?;
    stage.nothing_more(&mut other, &mut subscriber).await
}

async fn after_a_refusal_an_identifier_is_new(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    // A broker that refuses none of these cannot break the statement.
    for refusable in ["$conformance/topic", "$SYS/conformance"] {
        let mut publisher = stage.client("publisher").await?;
        publisher
            .send_publish(5, refusable, b"message", 2, false, false, &[])
            .await?;
        match publisher.next().await? {
            Packet::Ack(5, 5, 0x80..) | Packet::AckWith(5, 5, 0x80.., _) => {}
            Packet::Ack(5, 5, _) => {
                publisher.ack(6, 5).await?;
                publisher.acked(7, 5).await?;
            }
            Packet::Disconnect(..) | Packet::Closed => continue,
            other => bail!("{other:?}"),
        }
        publisher
            .send_publish(5, &topic, b"message", 2, false, false, &[])
            .await?;
        let reason = publisher.acked(5, 5).await?;
        ensure!(reason == 0, "PUBREC {reason:#04x}");
        publisher.ack(6, 5).await?;
        let reason = publisher.acked(7, 5).await?;
        ensure!(reason == 0, "PUBCOMP {reason:#04x}");
        subscriber.take(&topic).await?;
    }
    Ok(())
}

/// A client that has not seen the PUBCOMP sends its PUBREL again; 0x92 may say that it is late.
async fn every_pubrel_is_answered(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("publisher");
    let mut publisher = stage.connected(&options).await?;
    publisher.publish_done(&topic, "message", 2, false).await?;
    for _ in 0..2 {
        publisher.ack(6, 1).await?;
        let reason = publisher.acked(7, 1).await?;
        ensure!(matches!(reason, 0 | 0x92), "PUBCOMP {reason:#04x}");
        drop(publisher);
        publisher = stage.connected(&options).await?;
    }
    Ok(())
}

async fn after_pubcomp_an_identifier_is_new(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for (payload, dup) in [("one", false), ("two", false), ("three", true)] {
        publisher
            .send_publish(5, &topic, payload.as_bytes(), 2, false, dup, &[])
            .await?;
        publisher.acked(5, 5).await?;
        publisher.ack(6, 5).await?;
        publisher.acked(7, 5).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload == payload, "{message:?}");
    }
    Ok(())
}

/// On both sides: the publisher's exchange, and the subscriber's after its PUBREC.
async fn an_expired_message_is_still_acknowledged(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher
        .send_publish(5, &topic, b"message", 2, false, false, &expiry(1))
        .await?;
    let reason = publisher.acked(5, 5).await?;
    ensure!(reason == 0, "PUBREC {reason:#04x}");
    pass(&stage, 3).await?;
    publisher.ack(6, 5).await?;
    let reason = publisher.acked(7, 5).await?;
    ensure!(reason == 0, "PUBCOMP {reason:#04x}");
    // A broker may hold a message until its PUBREL, and it expires then.
    subscriber.ping().await?;
    if subscriber.unasked().next().is_some() {
        subscriber.take(&topic).await?;
    }
    Ok(())
}
