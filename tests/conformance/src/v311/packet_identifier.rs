//! Packet identifiers: section 2.3.1.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "2.3.1 Packet identifiers",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-2.3.1-1",
        "SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 have a packet identifier other than 0.",
    ),
    client(
        "MQTT-2.3.1-2",
        "A client gives each new such packet an identifier that is not in use.",
    ),
    client(
        "MQTT-2.3.1-3",
        "A client sends a packet again with the same identifier, in use until it is acknowledged.",
    ),
    server(
        "MQTT-2.3.1-4",
        "The same holds for a server's messages above QoS 0.",
    ),
    server(
        "MQTT-2.3.1-5",
        "A PUBLISH with QoS 0 has no packet identifier.",
    ),
    server(
        "MQTT-2.3.1-6",
        "PUBACK, PUBREC and PUBREL have the identifier of their PUBLISH.",
    ),
    server(
        "MQTT-2.3.1-7",
        "SUBACK and UNSUBACK have the identifier of what they acknowledge.",
    ),
];

const CASES: &[Case] = &[
    case!(packet_identifier_0_ends_the_connection, "MQTT-2.3.1-1"),
    case!(
        messages_in_flight_have_identifiers_of_their_own,
        "MQTT-2.3.1-1",
        "MQTT-2.3.1-4"
    ),
    case!(a_message_sent_again_keeps_its_identifier, "MQTT-2.3.1-4"),
    case!(a_qos_0_message_has_no_identifier, "MQTT-2.3.1-5"),
    case!(acknowledgements_name_their_message, "MQTT-2.3.1-6"),
    case!(suback_and_unsuback_name_their_packet, "MQTT-2.3.1-7"),
];

async fn packet_identifier_0_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let packets = [
        ("SUBSCRIBE", 0x82, wire::subscribe(0, topic, 0)),
        ("UNSUBSCRIBE", 0xa2, wire::unsubscribe(0, topic)),
        ("PUBLISH, QoS 1", 0x32, wire::publish(topic, 0, b"message")),
        ("PUBLISH, QoS 2", 0x34, wire::publish(topic, 0, b"message")),
    ];
    for (what, first, body) in packets {
        let mut client = stage.client("client").await?;
        client.send_packet(first, &body).await?;
        cut(&mut client).await.context(what)?;
    }
    Ok(())
}

async fn messages_in_flight_have_identifiers_of_their_own(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let mut unacknowledged = Vec::new();
    let mut ids = HashSet::new();
    for round in 0..12 {
        let qos = 1 + round % 2;
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let message = subscriber.publish_on(&topic).await?;
        let new = ids.insert(message.id);
        ensure!(new, "identifier {} is in use", message.id);
        unacknowledged.push(message);
        // Some become free in between.
        if round % 3 == 2 {
            let message = unacknowledged.remove(0);
            subscriber.acknowledge(&message).await?;
            ids.remove(&message.id);
        }
    }
    Ok(())
}

async fn a_message_sent_again_keeps_its_identifier(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let mut first = Vec::new();
    for qos in [1, 2] {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        first.push(subscriber.publish_on(&topic).await?);
    }
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    for message in first {
        let again = subscriber.publish_on(&topic).await?;
        ensure!(again.id == message.id, "{message:?}, then {again:?}");
        subscriber.acknowledge(&again).await?;
    }
    subscriber.ping().await
}

async fn a_qos_0_message_has_no_identifier(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let message = subscriber.publish_on(&topic).await?;
        ensure!(message.qos == 0, "{message:?}");
        // An identifier would be its first two bytes.
        ensure!(message.payload == "message", "{message:?}");
    }
    Ok(())
}

async fn acknowledgements_name_their_message(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    for id in [1, 0x00ff, 0x1234, 0xff00, 0xffff] {
        client
            .send_publish(id, &topic, b"message", 1, false, false, &[])
            .await?;
        ensure!(client.next().await? == Packet::Ack(4, id, 0), "no PUBACK");
        client
            .send_publish(id, &topic, b"message", 2, false, false, &[])
            .await?;
        ensure!(client.next().await? == Packet::Ack(5, id, 0), "no PUBREC");
        client.ack(6, id).await?;
        ensure!(client.next().await? == Packet::Ack(7, id, 0), "no PUBCOMP");
    }
    client.subscribe(&[(&topic, 2)]).await?;
    client.publish_done(&topic, "message", 2, false).await?;
    let message = client.publish_on(&topic).await?;
    client.ack(5, message.id).await?;
    let release = client.next().await?;
    ensure!(release == Packet::Ack(6, message.id, 0), "{release:?}");
    Ok(())
}

async fn suback_and_unsuback_name_their_packet(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    for id in [1, 0x00ff, 0x1234, 0xff00, 0xffff] {
        let subscribe = wire::subscribe(id, topic.as_bytes(), 0);
        client.send_packet(0x82, &subscribe).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::SubAck(id, vec![0]), "{answer:?}");
        let unsubscribe = wire::unsubscribe(id, topic.as_bytes());
        client.send_packet(0xa2, &unsubscribe).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::UnsubAck(id, vec![]), "{answer:?}");
    }
    Ok(())
}
