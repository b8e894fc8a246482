//! DUP and QoS of a PUBLISH: sections 3.3.1.1 and 3.3.1.2.

use anyhow::{Result, ensure};
use partyline_testkit::RawClient;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.1 PUBLISH: DUP and QoS",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.3.1-1", "A PUBLISH that is sent again has DUP 1."),
    server("MQTT-3.3.1-2", "A message with QoS 0 has DUP 0."),
    server(
        "MQTT-3.3.1-3",
        "DUP towards a subscriber says whether the server sends again, not what it received.",
    ),
    server(
        "MQTT-3.3.1-4",
        "A PUBLISH with both QoS bits set ends the connection.",
    ),
];

const CASES: &[Case] = &[
    case!(a_message_sent_again_has_dup, "MQTT-3.3.1-1"),
    case!(a_qos_0_message_has_no_dup, "MQTT-3.3.1-2"),
    case!(
        dup_at_qos_0_ends_the_connection,
        "MQTT-3.3.1-2",
        "MQTT-4.8.0-1"
    ),
    case!(dup_is_not_passed_on, "MQTT-3.3.1-3"),
    case!(qos_3_ends_the_connection, "MQTT-3.3.1-4"),
];

async fn a_message_sent_again_has_dup(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        let mut subscriber = stage.connected(&options).await?;
        subscriber.subscribe(&[(&topic, 2)]).await?;
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let first = subscriber.publish_on(&topic).await?;
        ensure!(!first.dup, "{first:?}");
        drop(subscriber);
        let mut subscriber = stage.connected(&options).await?;
        let again = subscriber.publish_on(&topic).await?;
        ensure!(again.dup, "{again:?}");
        subscriber.acknowledge(&again).await?;
        subscriber.ping().await?;
    }
    Ok(())
}

/// Publishes with DUP, and goes through the handshake.
async fn publish_with_dup(client: &mut RawClient, topic: &str, qos: u8) -> Result<()> {
    let id = client.take_id();
    client
        .send_publish(id, topic, b"message", qos, false, true, &[])
        .await?;
    if qos == 1 {
        client.acked(4, id).await?;
    } else {
        client.acked(5, id).await?;
        client.ack(6, id).await?;
        client.acked(7, id).await?;
    }
    Ok(())
}

async fn a_qos_0_message_has_no_dup(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        publish_with_dup(&mut publisher, &topic, qos).await?;
        let message = subscriber.publish_on(&topic).await?;
        ensure!(message.qos == 0 && !message.dup, "{message:?}");
    }
    Ok(())
}

async fn dup_at_qos_0_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    client
        .send_publish(0, &topic, b"message", 0, false, true, &[])
        .await?;
    cut(&mut client).await
}

async fn dup_is_not_passed_on(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        publish_with_dup(&mut publisher, &topic, qos).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.qos == qos && !message.dup, "{message:?}");
    }
    Ok(())
}

async fn qos_3_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for first in [0x36, 0x37, 0x3e] {
        let mut client = stage.client("client").await?;
        let publish = wire::publish(topic.as_bytes(), 1, b"message");
        client.send_packet(first, &publish).await?;
        cut(&mut client).await?;
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}
