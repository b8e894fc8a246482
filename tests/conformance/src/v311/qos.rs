//! The levels of QoS: section 4.3.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use partyline_testkit::Packet;

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.3 Quality of service",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.3.1-1",
        "At QoS 0 the sender sends a PUBLISH with QoS 0 and DUP 0.",
    ),
    server(
        "MQTT-4.3.2-1",
        "At QoS 1 the sender uses an unused identifier, DUP 0 at first, and holds the message unacknowledged until its PUBACK.",
    ),
    server(
        "MQTT-4.3.2-2",
        "At QoS 1 the receiver answers with a PUBACK, and takes the same identifier afterwards as a new message.",
    ),
    server(
        "MQTT-4.3.3-1",
        "At QoS 2 the sender answers PUBREC with PUBREL, holds each unacknowledged until its answer, and after the PUBREL does not send the PUBLISH again.",
    ),
    server(
        "MQTT-4.3.3-2",
        "At QoS 2 the receiver answers with PUBREC and PUBCOMP, delivers once whatever is repeated before the PUBREL, and takes the identifier afterwards as a new message.",
    ),
];

const CASES: &[Case] = &[
    case!(qos_0_is_sent_once_without_dup, "MQTT-4.3.1-1"),
    case!(qos_1_is_held_until_its_puback, "MQTT-4.3.2-1"),
    case!(after_puback_an_identifier_is_new, "MQTT-4.3.2-2"),
    case!(qos_2_is_released_after_its_pubrec, "MQTT-4.3.3-1"),
    case!(after_pubrel_the_publish_is_not_sent_again, "MQTT-4.3.3-1"),
    case!(a_repeated_qos_2_message_is_delivered_once, "MQTT-4.3.3-2"),
    case!(after_pubcomp_an_identifier_is_new, "MQTT-4.3.3-2"),
    case!(every_pubrel_is_answered, "MQTT-4.3.3-2"),
];

async fn qos_0_is_sent_once_without_dup(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher.publish(&topic, "message", 0, false).await?;
    let message = subscriber.publish_on(&topic).await?;
    ensure!(message.qos == 0 && !message.dup, "{message:?}");
    // There is nothing to acknowledge, and nothing to send again.
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn qos_1_is_held_until_its_puback(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 1)]).await?;
    let mut messages = Vec::new();
    for payload in ["one", "two", "three"] {
        publisher.publish(&topic, payload, 1, false).await?;
        let message = subscriber.publish_on(&topic).await?;
        ensure!(message.qos == 1 && !message.dup, "{message:?}");
        messages.push(message);
    }
    let ids: HashSet<u16> = messages.iter().map(|message| message.id).collect();
    ensure!(ids.len() == 3, "{ids:?}");
    // Acknowledged out of order; the PINGRESP says that the broker knows.
    subscriber.puback(messages.remove(1).id).await?;
    subscriber.ping().await?;
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    for message in &messages {
        let again = subscriber.take(&topic).await?;
        ensure!(again.payload == message.payload, "{again:?}");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn after_puback_an_identifier_is_new(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for (payload, dup) in [("one", false), ("two", false), ("three", true)] {
        publisher
            .send_publish(5, &topic, payload.as_bytes(), 1, false, dup, &[])
            .await?;
        publisher.acked(4, 5).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload == payload, "{message:?}");
    }
    Ok(())
}

async fn qos_2_is_released_after_its_pubrec(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut messages = Vec::new();
    for payload in ["one", "two"] {
        publisher.publish_done(&topic, payload, 2, false).await?;
        let message = subscriber.publish_on(&topic).await?;
        ensure!(message.qos == 2 && !message.dup, "{message:?}");
        messages.push(message);
    }
    let ids: HashSet<u16> = messages.iter().map(|message| message.id).collect();
    ensure!(ids.len() == 2, "{messages:?}");
    for message in messages.iter().rev() {
        // Nothing is released before its PUBREC.
        subscriber.ping().await?;
        let early: Vec<&Packet> = subscriber.unasked().collect();
        ensure!(early.is_empty(), "{early:?}");
        subscriber.ack(5, message.id).await?;
        let release = subscriber.next().await?;
        ensure!(release == Packet::Ack(6, message.id, 0), "{release:?}");
    }
    for message in &messages {
        subscriber.ack(7, message.id).await?;
    }
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

async fn a_repeated_qos_2_message_is_delivered_once(stage: Stage) -> Result<()> {
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

/// A client that has not seen the PUBCOMP sends its PUBREL again.
async fn every_pubrel_is_answered(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("publisher");
    let mut publisher = stage.connected(&options).await?;
    publisher.publish_done(&topic, "message", 2, false).await?;
    for _ in 0..2 {
        publisher.ack(6, 1).await?;
        let answer = publisher.next().await?;
        ensure!(answer == Packet::Ack(7, 1, 0), "{answer:?}");
        drop(publisher);
        publisher = stage.connected(&options).await?;
    }
    Ok(())
}
