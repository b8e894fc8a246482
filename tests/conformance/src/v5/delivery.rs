//! Delivery again, receipt and order: sections 4.4 to 4.6.

use anyhow::{Context, Result, bail, ensure};
use partyline_testkit::Packet;

use crate::case::case;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.4 Delivery again, 4.5 receipt and 4.6 order",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.4.0-1",
        "A resumed session gets what is unacknowledged again, PUBLISH and PUBREL, with its identifiers; at no other time is anything sent again.",
    ),
    server(
        "MQTT-4.4.0-2",
        "A PUBACK or PUBREC of 0x80 or more acknowledges the message, which is not sent again.",
    ),
    server(
        "MQTT-4.5.0-1",
        "A message that the server took over is added to the session of every client with a matching subscription.",
    ),
    client(
        "MQTT-4.5.0-2",
        "A client acknowledges what it receives, whatever it does with it.",
    ),
    client(
        "MQTT-4.6.0-1",
        "A client sends messages again in their first order.",
    ),
    client(
        "MQTT-4.6.0-2",
        "A client sends PUBACK packets in the order of the messages.",
    ),
    client(
        "MQTT-4.6.0-3",
        "A client sends PUBREC packets in the order of the messages.",
    ),
    client(
        "MQTT-4.6.0-4",
        "A client sends PUBREL packets in the order of the PUBREC packets.",
    ),
    server(
        "MQTT-4.6.0-5",
        "Messages of one client on an ordered topic with one QoS reach each consumer in their order.",
    ),
    server(
        "MQTT-4.6.0-6",
        "For subscriptions that are not shared, every topic is ordered.",
    ),
];

const CASES: &[Case] = &[
    case!(what_is_unacknowledged_is_sent_again_once, "MQTT-4.4.0-1"),
    case!(a_refused_message_is_not_sent_again, "MQTT-4.4.0-2"),
    case!(every_matching_session_gets_the_message, "MQTT-4.5.0-1"),
    case!(
        messages_come_in_the_order_of_their_publisher,
        "MQTT-4.6.0-5",
        "MQTT-4.6.0-6"
    ),
    case!(
        messages_that_waited_come_in_their_order,
        "MQTT-4.6.0-5",
        "MQTT-4.6.0-6"
    ),
    case!(
        messages_are_sent_again_in_their_order,
        "MQTT-4.6.0-5",
        "MQTT-4.6.0-6"
    ),
];

async fn what_is_unacknowledged_is_sent_again_once(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut first = Vec::new();
    for qos in [1, 2, 2, 1] {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        first.push(subscriber.publish_on(&topic).await?);
    }
    // One is acknowledged, and one waits for its PUBCOMP.
    let [done, released, held @ ..] = &*first else {
        bail!("{first:?}")
    };
    subscriber.puback(done.id).await?;
    subscriber.ack(5, released.id).await?;
    subscriber.acked(6, released.id).await?;
    // On the open connection nothing is sent again, whatever else happens.
    stage.nothing_more(&mut publisher, &mut subscriber).await?;
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    subscriber.acked(6, released.id).await?;
    for message in held {
        let again = subscriber.publish_on(&topic).await?;
        ensure!(again.id == message.id && again.dup, "{again:?}");
    }
    subscriber.ack(7, released.id).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await?;
    // A clean start ends it.
    let mut subscriber = stage.client("subscriber").await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_refused_message_is_not_sent_again(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber").property(0x21, vec![0, 1]);
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    for (qos, first, reason) in [(1, 0x40, 0x80), (2, 0x50, 0x83), (1, 0x40, 0x97)] {
        publisher
            .publish_done(&topic, "refused", qos, false)
            .await?;
        let message = subscriber.publish_on(&topic).await?;
        let [high, low] = message.id.to_be_bytes();
        subscriber.send_packet(first, &[high, low, reason]).await?;
        // With a window of one, the next shows that this one is done; and no PUBREL came.
        publisher.publish_done(&topic, "next", 1, false).await?;
        let next = subscriber.next().await?;
        let Packet::Publish(next) = next else {
            bail!("{next:?} after reason {reason:#04x}")
        };
        ensure!(next.payload == "next", "{next:?}");
        subscriber.acknowledge(&next).await?;
        subscriber.ping().await?;
        drop(subscriber);
        subscriber = stage.connected(&options).await?;
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    Ok(())
}

async fn every_matching_session_gets_the_message(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let filters = ["a/b", "a/+", "a/#", "+/b", "#", "c"].map(|name| stage.topic(name));
    let mut publisher = stage.client("publisher").await?;
    for (number, filter) in filters.iter().enumerate() {
        let options = stage.lasting(&format!("subscriber{number}"));
        let mut client = stage.connected(&options).await?;
        client.subscribe(&[(filter, 1)]).await?;
        client.disconnect(0).await?;
    }
    for payload in ["one", "two"] {
        publisher.publish_done(&topic, payload, 1, false).await?;
    }
    for (number, filter) in filters.iter().enumerate() {
        let options = stage.lasting(&format!("subscriber{number}"));
        let mut client = stage.connected(&options).await?;
        if filter.ends_with("/c") {
            stage.nothing_more(&mut publisher, &mut client).await?;
            continue;
        }
        for payload in ["one", "two"] {
            let message = client.take(&topic).await.context(filter.clone())?;
            ensure!(message.payload == payload, "{message:?}");
        }
    }
    Ok(())
}

async fn messages_come_in_the_order_of_their_publisher(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        let topic = stage.topic(&format!("qos{qos}"));
        let mut subscribers = Vec::new();
        for name in ["one", "two"] {
            subscribers.push(stage.subscriber(name, &[(&topic, 2)]).await?);
        }
        for batch in 0..10_u16 {
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
                    ensure!(right && message.qos == qos, "{message:?}, not {number}");
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
