//! The format of packets: section 2.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::bare::Bare;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "2 Packet format",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-2.1.3-1",
        "Reserved flags of the fixed header have the values that are listed.",
    ),
    server(
        "MQTT-2.2.1-2",
        "A PUBLISH with QoS 0 has no packet identifier.",
    ),
    client(
        "MQTT-2.2.1-3",
        "A client gives each new packet an identifier that is not 0 and not in use.",
    ),
    server(
        "MQTT-2.2.1-4",
        "A server gives each new message above QoS 0 an identifier that is not 0 and not in use.",
    ),
    server(
        "MQTT-2.2.1-5",
        "PUBACK, PUBREC, PUBREL and PUBCOMP have the identifier of their PUBLISH.",
    ),
    server(
        "MQTT-2.2.1-6",
        "SUBACK and UNSUBACK have the identifier of what they acknowledge.",
    ),
    server(
        "MQTT-2.2.2-1",
        "Where there are no properties, a Property Length of 0 says so.",
    ),
];

const CASES: &[Case] = &[
    case!(reserved_flags_end_the_connection, "MQTT-2.1.3-1"),
    case!(flags_from_the_server_are_as_listed, "MQTT-2.1.3-1"),
    case!(a_qos_0_message_has_no_identifier, "MQTT-2.2.1-2"),
    case!(
        messages_in_flight_have_identifiers_of_their_own,
        "MQTT-2.2.1-4"
    ),
    case!(acknowledgements_name_their_message, "MQTT-2.2.1-5"),
    case!(suback_and_unsuback_name_their_packet, "MQTT-2.2.1-6"),
    case!(no_properties_are_a_length_of_0, "MQTT-2.2.2-1"),
];

async fn reserved_flags_end_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let packets = [
        ("PUBACK", 0x40, 0, vec![0, 1]),
        ("PUBREC", 0x50, 0, vec![0, 1]),
        ("PUBREL", 0x60, 2, vec![0, 1]),
        ("PUBCOMP", 0x70, 0, vec![0, 1]),
        ("SUBSCRIBE", 0x80, 2, wire::subscribe(1, &[], &[(topic, 0)])),
        ("UNSUBSCRIBE", 0xa0, 2, wire::unsubscribe(1, &[], &[topic])),
        ("PINGREQ", 0xc0, 0, vec![]),
        ("DISCONNECT", 0xe0, 0, vec![]),
        ("AUTH", 0xf0, 0, vec![]),
    ];
    for (what, kind, listed, body) in packets {
        for flags in (0..16).filter(|flags| *flags != listed) {
            let mut client = stage.client("client").await?;
            client.send_packet(kind | flags, &body).await?;
            cut(&mut client)
                .await
                .with_context(|| format!("{what} with flags {flags:#x}"))?;
        }
    }
    let id = wire::counted(stage.client_id("client").as_bytes());
    for flags in 1..16 {
        let mut client = stage.open().await?;
        let connect = wire::connect(2, &[], &id);
        client.send_packet(0x10 | flags, &connect).await?;
        let mut packet = client.next().await?;
        if let Packet::ConnAck(connack) = &packet {
            ensure!(connack.code >= 0x80, "CONNECT with flags {flags:#x}");
            packet = client.next().await?;
        }
        ensure!(packet == Packet::Closed, "{packet:?}");
    }
    Ok(())
}

async fn flags_from_the_server_are_as_listed(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let (mut bare, connack) = Bare::connected(&stage, "client", &[]).await?;
    let subscribe = wire::subscribe(1, &[], &[(topic, 2)]);
    let exchanges = [
        (0x82, subscribe, vec![0x90]),
        // It comes back, as QoS 2, and is acknowledged.
        (0x34, wire::publish(topic, 2, &[], b"message"), vec![0x50]),
        (0x62, vec![0, 2], vec![0x70]),
        (
            0x32,
            wire::publish(b"other", 3, &[], b"message"),
            vec![0x40],
        ),
        (0xa2, wire::unsubscribe(4, &[], &[topic]), vec![0xb0]),
    ];
    let mut seen = vec![connack.first];
    for (first, body, answer) in exchanges {
        bare.send(first, &body).await?;
        for packet in bare.until_pong().await? {
            if packet.kind() == 3 {
                let behind = packet.body.get(2 + topic.len()..).unwrap_or_default();
                let (id, _) = behind.split_at_checked(2).context("no identifier")?;
                bare.send(0x50, id).await?;
                let release = bare.until_pong().await?;
                seen.extend(release.iter().map(|packet| packet.first));
                bare.send(0x70, id).await?;
            } else {
                ensure!(answer.contains(&packet.first), "{packet:02x?}");
                seen.push(packet.first);
            }
        }
    }
    seen.sort_unstable();
    ensure!(
        seen == [0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0],
        "{seen:02x?}"
    );
    Ok(())
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
        // An identifier would be taken for properties and the first of the payload.
        ensure!(message.payload == "message", "{message:?}");
        ensure!(message.properties.0.is_empty(), "{message:?}");
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
        ensure!(message.id != 0, "identifier 0");
        ensure!(ids.insert(message.id), "{} is in use", message.id);
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

async fn acknowledgements_name_their_message(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    for id in [1, 0x00ff, 0x1234, 0xff00, 0xffff] {
        client
            .send_publish(id, &topic, b"message", 1, false, false, &[])
            .await?;
        // 0x10, nobody subscribes, may be the reason.
        let answer = client.next().await?;
        let right = matches!(answer, Packet::Ack(4, of, 0 | 0x10) if of == id);
        ensure!(right, "{answer:?} to {id}");
        client
            .send_publish(id, &topic, b"message", 2, false, false, &[])
            .await?;
        let answer = client.next().await?;
        let right = matches!(answer, Packet::Ack(5, of, 0 | 0x10) if of == id);
        ensure!(right, "{answer:?} to {id}");
        client.ack(6, id).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::Ack(7, id, 0), "{answer:?} to {id}");
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
    let topic = topic.as_bytes();
    let mut client = stage.client("client").await?;
    for id in [1, 0x00ff, 0x1234, 0xff00, 0xffff] {
        let subscribe = wire::subscribe(id, &[], &[(topic, 0)]);
        client.send_packet(0x82, &subscribe).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::SubAck(id, vec![0]), "{answer:?}");
        let unsubscribe = wire::unsubscribe(id, &[], &[topic]);
        client.send_packet(0xa2, &unsubscribe).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::UnsubAck(id, vec![0]), "{answer:?}");
    }
    Ok(())
}

async fn no_properties_are_a_length_of_0(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let (mut bare, _) = Bare::connected(&stage, "client", &[]).await?;
    let message = [&*wire::counted(topic), &[0], b"message"].concat();
    let exchanges = [
        (
            0x82,
            wire::subscribe(1, &[], &[(topic, 0)]),
            vec![0, 1, 0, 0],
        ),
        (0x30, message.clone(), message),
        (0xa2, wire::unsubscribe(2, &[], &[topic]), vec![0, 2, 0, 0]),
    ];
    for (first, body, answer) in exchanges {
        bare.send(first, &body).await?;
        let packet = bare.next().await?.context("closed")?;
        ensure!(packet.body == answer, "{packet:02x?}, not {answer:02x?}");
    }
    // Without one, all of these are cut short.
    let missing = [
        (0x82, [&[0, 1], &*wire::counted(topic), &[0]].concat()),
        (0x30, wire::counted(topic)),
    ];
    for (first, body) in missing {
        let mut client = stage.client("client").await?;
        client.send_packet(first, &body).await?;
        cut(&mut client).await?;
    }
    Ok(())
}
