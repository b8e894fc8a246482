//! The order of messages: section 4.6.

use anyhow::{Result, ensure};

use crate::case::case;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.6 Message ordering",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.6.0-1",
        "PUBLISH packets are sent again in the order in which they were sent first; for servers by MQTT-4.6.0-6.",
    ),
    client(
        "MQTT-4.6.0-2",
        "A client sends PUBACK packets in the order in which it received the messages.",
    ),
    client(
        "MQTT-4.6.0-3",
        "A client sends PUBREC packets in the order in which it received the messages.",
    ),
    server(
        "MQTT-4.6.0-4",
        "PUBREL packets are sent in the order in which the PUBREC packets came; for servers by MQTT-4.6.0-6.",
    ),
    server(
        "MQTT-4.6.0-5",
        "Topics are ordered unless somebody decides otherwise.",
    ),
    server(
        "MQTT-4.6.0-6",
        "Messages of one client on one ordered topic with one QoS reach each subscriber in their order.",
    ),
];

const CASES: &[Case] = &[
    case!(
        messages_are_sent_again_in_their_order,
        "MQTT-4.6.0-1",
        "MQTT-4.6.0-6"
    ),
    case!(
        pubrels_come_in_the_order_of_the_pubrecs,
        "MQTT-4.6.0-4",
        "MQTT-4.6.0-6"
    ),
    case!(
        messages_come_in_the_order_of_their_publisher,
        "MQTT-4.6.0-5",
        "MQTT-4.6.0-6"
    ),
    case!(messages_that_waited_come_in_their_order, "MQTT-4.6.0-6"),
];

async fn messages_are_sent_again_in_their_order(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    for number in 0..10_u8 {
        let qos = 1 + number % 2;
        publisher.publish_done(&topic, [number], qos, false).await?;
        subscriber.publish_on(&topic).await?;
    }
    for _ in 0..2 {
        drop(subscriber);
        subscriber = stage.connected(&options).await?;
        for number in 0..10_u8 {
            let message = subscriber.publish_on(&topic).await?;
            ensure!(message.payload == [number][..], "{message:?}, not {number}");
        }
    }
    Ok(())
}

async fn pubrels_come_in_the_order_of_the_pubrecs(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        publisher.publish_done(&topic, "message", 2, false).await?;
        ids.push(subscriber.publish_on(&topic).await?.id);
    }
    ids.swap(0, 3);
    ids.swap(1, 5);
    for id in &ids {
        subscriber.ack(5, *id).await?;
    }
    for id in &ids {
        let release = subscriber.next().await?;
        let expected = partyline_testkit::Packet::Ack(6, *id, 0);
        ensure!(release == expected, "{release:?}, not {expected:?}");
    }
    Ok(())
}

/// Far more than may be in flight at once.
const MANY: u16 = 300;

async fn messages_come_in_the_order_of_their_publisher(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        let topic = stage.topic(&format!("qos{qos}"));
        let mut subscribers = Vec::new();
        for name in ["one", "two"] {
            subscribers.push(stage.subscriber(name, &[(&topic, 2)]).await?);
        }
        for batch in 0..MANY / 20 {
            let numbers = batch * 20..(batch + 1) * 20;
            let mut ids = Vec::new();
            for number in numbers.clone() {
                let payload = number.to_be_bytes();
                ids.push(publisher.publish(&topic, payload, qos, false).await?);
            }
            if qos == 2 {
                for id in ids {
                    publisher.acked(5, id).await?;
                    publisher.ack(6, id).await?;
                }
            }
            for subscriber in &mut subscribers {
                for number in numbers.clone() {
                    let message = subscriber.take(&topic).await?;
                    let right = message.payload == number.to_be_bytes()[..];
                    ensure!(right, "{message:?}, not {number}");
                    ensure!(message.qos == qos, "{message:?}");
                }
            }
        }
    }
    Ok(())
}

async fn messages_that_waited_come_in_their_order(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        let mut subscriber = stage.connected(&options).await?;
        subscriber.subscribe(&[(&topic, 2)]).await?;
        subscriber.disconnect(0).await?;
        for number in 0..50_u8 {
            publisher.publish_done(&topic, [number], qos, false).await?;
        }
        let mut subscriber = stage.connected(&options).await?;
        for number in 0..50_u8 {
            let message = subscriber.take(&topic).await?;
            ensure!(message.payload == [number][..], "{message:?}, not {number}");
        }
        subscriber.ping().await?;
        subscriber.disconnect(0).await?;
    }
    Ok(())
}
