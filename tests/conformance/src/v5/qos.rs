//! The levels of QoS: sections 4.3.1 and 4.3.2.

use std::collections::HashSet;

use anyhow::{Result, ensure};

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.3.1 QoS 0 and QoS 1",
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
        "At QoS 1 the sender gives each new message an unused packet identifier.",
    ),
    server(
        "MQTT-4.3.2-2",
        "At QoS 1 the sender sends a PUBLISH with this identifier, QoS 1 and DUP 0.",
    ),
    server(
        "MQTT-4.3.2-3",
        "At QoS 1 the message is unacknowledged until its PUBACK came.",
    ),
    server(
        "MQTT-4.3.2-4",
        "At QoS 1 the receiver, having taken the message over, answers with a PUBACK with its identifier.",
    ),
    server(
        "MQTT-4.3.2-5",
        "After the PUBACK a PUBLISH with the same identifier is a new message, whatever its DUP.",
    ),
];

const CASES: &[Case] = &[
    case!(qos_0_is_sent_once_without_dup, "MQTT-4.3.1-1"),
    case!(
        qos_1_is_held_until_its_puback,
        "MQTT-4.3.2-1",
        "MQTT-4.3.2-2",
        "MQTT-4.3.2-3"
    ),
    case!(a_puback_says_that_the_message_is_taken_over, "MQTT-4.3.2-4"),
    case!(after_puback_an_identifier_is_new, "MQTT-4.3.2-5"),
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
        ensure!(again.id == message.id, "{again:?}");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

/// It is then in the session of a client that is not there, and nothing keeps it from coming.
async fn a_puback_says_that_the_message_is_taken_over(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 1)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher
        .send_publish(0x1234, &topic, b"message", 1, false, false, &[])
        .await?;
    let reason = publisher.acked(4, 0x1234).await?;
    ensure!(reason == 0, "PUBACK {reason:#04x}");
    drop(publisher);
    let mut subscriber = stage.connected(&options).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(message.payload == "message", "{message:?}");
    Ok(())
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
