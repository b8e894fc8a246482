//! DUP and QoS of a PUBLISH: sections 3.3.1.1 and 3.3.1.2.

use anyhow::{Result, ensure};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.1 DUP and QoS of PUBLISH",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.3.1-1",
        "DUP is 1 when a PUBLISH is delivered again.",
    ),
    server("MQTT-3.3.1-2", "DUP is 0 at QoS 0."),
    server(
        "MQTT-3.3.1-3",
        "DUP of what is sent does not depend on DUP of what was received.",
    ),
    server("MQTT-3.3.1-4", "QoS is not 3."),
];

const CASES: &[Case] = &[
    case!(dup_is_set_when_a_message_is_sent_again, "MQTT-3.3.1-1"),
    case!(dup_at_qos_0_ends_the_connection, "MQTT-3.3.1-2"),
    case!(dup_is_not_passed_on, "MQTT-3.3.1-2", "MQTT-3.3.1-3"),
    case!(qos_3_ends_the_connection, "MQTT-3.3.1-4"),
];

async fn dup_is_set_when_a_message_is_sent_again(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let first = subscriber.publish_on(&topic).await?;
        ensure!(!first.dup, "{first:?}");
    }
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    for qos in [1, 2] {
        let again = subscriber.publish_on(&topic).await?;
        ensure!(again.dup && again.qos == qos, "{again:?}");
    }
    Ok(())
}

async fn dup_at_qos_0_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let mut client = stage.client("client").await?;
    let body = [&*wire::counted(topic.as_bytes()), &[0], b"message"].concat();
    client.send_packet(0x38, &body).await?;
    cut(&mut client).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn dup_is_not_passed_on(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    for granted in 0..=2 {
        let name = format!("subscriber{granted}");
        let mut subscriber = stage.subscriber(&name, &[(&topic, granted)]).await?;
        for qos in [1, 2] {
            publisher
                .send_publish(9, &topic, b"message", qos, false, true, &[])
                .await?;
            if qos == 1 {
                publisher.acked(4, 9).await?;
            } else {
                publisher.acked(5, 9).await?;
                publisher.ack(6, 9).await?;
                publisher.acked(7, 9).await?;
            }
            let message = subscriber.take(&topic).await?;
            ensure!(!message.dup, "{message:?}");
        }
        subscriber.ping().await?;
        subscriber.disconnect(0).await?;
    }
    Ok(())
}

async fn qos_3_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for first in [0x36, 0x37, 0x3e] {
        let mut client = stage.client("client").await?;
        let publish = wire::publish(topic.as_bytes(), 1, &[], b"message");
        client.send_packet(first, &publish).await?;
        cut(&mut client).await?;
    }
    Ok(())
}
