//! Errors: section 4.13.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.13 Handling errors",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.13.1-1",
        "A malformed packet or a protocol error for which there is a reason ends the connection.",
    ),
    server(
        "MQTT-4.13.2-1",
        "A reason of 0x80 or more in a CONNACK or DISCONNECT ends the connection, whether the packet is sent or not.",
    ),
];

const CASES: &[Case] = &[
    case!(packets_of_a_server_end_the_connection, "MQTT-4.13.1-1"),
    case!(
        bytes_too_many_or_too_few_end_the_connection,
        "MQTT-4.13.1-1"
    ),
    case!(wrong_properties_end_the_connection, "MQTT-4.13.1-1"),
    case!(packet_identifier_0_ends_the_connection, "MQTT-4.13.1-1"),
    case!(
        reasons_that_are_not_listed_end_the_connection,
        "MQTT-4.13.1-1"
    ),
    case!(an_endless_length_ends_the_connection, "MQTT-4.13.1-1"),
    case!(
        too_many_messages_under_way_end_the_connection,
        "MQTT-4.13.1-1"
    ),
    case!(a_violation_ends_no_other_connection, "MQTT-4.13.1-1"),
    case!(an_error_code_is_followed_by_the_end, "MQTT-4.13.2-1"),
    case!(an_error_code_of_a_client_is_the_end, "MQTT-4.13.2-1"),
];

async fn violation(stage: &Stage, bytes: &[u8]) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_bytes(bytes).await?;
    cut(&mut client)
        .await
        .with_context(|| format!("{bytes:02x?}"))
}

async fn packets_of_a_server_end_the_connection(stage: Stage) -> Result<()> {
    let packets: [&[u8]; 6] = [
        &[0x20, 3, 0, 0, 0],
        &[0x90, 4, 0, 1, 0, 0],
        &[0xb0, 4, 0, 1, 0, 0],
        &[0xd0, 0],
        &[0x00, 0],
        &[0x0f, 0],
    ];
    for packet in packets {
        violation(&stage, packet).await?;
    }
    Ok(())
}

async fn bytes_too_many_or_too_few_end_the_connection(stage: Stage) -> Result<()> {
    let packets: [&[u8]; 9] = [
        &[0xc0, 1, 0],
        &[0x40, 1, 0],
        &[0x62, 1, 0],
        &[0x62, 5, 0, 1, 0, 0, 0],
        // Properties that are longer than the packet.
        &[0x62, 4, 0, 1, 0, 9],
        &[0xe0, 2, 0, 9],
        &[0x82, 7, 0, 1, 9, 0, 1, b'a', 0],
        // Filters that are.
        &[0x82, 7, 0, 1, 0, 0, 9, b'a', 0],
        &[0xa2, 6, 0, 1, 0, 0, 9, b'a'],
    ];
    for packet in packets {
        violation(&stage, packet).await?;
    }
    Ok(())
}

async fn wrong_properties_end_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let of_publish: [&[u8]; 9] = [
        &[0x01, 2],
        &[0x01, 0, 0x01, 0],
        &[0x02, 0, 0, 0, 9, 0x02, 0, 0, 0, 9],
        &[0x09, 0, 0, 0x09, 0, 0],
        &[0x11, 0, 0, 0, 9],
        &[0x24, 1],
        &[0x1f, 0, 0],
        &[0x7e],
        &[0x02, 0, 0],
    ];
    let of_subscribe: [&[u8]; 5] = [
        // A subscription identifier is not 0, is there once, and has four bytes at most.
        &[0x0b, 0],
        &[0x0b, 1, 0x0b, 2],
        &[0x0b, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0x01, 0],
        &[0x22, 0, 9],
    ];
    let mut packets = Vec::new();
    for properties in of_publish {
        packets.push((0x32, wire::publish(topic, 1, properties, b"message")));
    }
    for properties in of_subscribe {
        packets.push((0x82, wire::subscribe(1, properties, &[(topic, 0)])));
    }
    for properties in [&[0x0b, 1][..], &[0x1f, 0, 0]] {
        packets.push((0xa2, wire::unsubscribe(1, properties, &[topic])));
    }
    for properties in [&[0x1f, 0, 0, 0x1f, 0, 0][..], &[0x23, 0, 1]] {
        let section = wire::section(properties);
        packets.push((0x62, [&[0, 1, 0], &*section].concat()));
        packets.push((0xe0, [&[0], &*section].concat()));
    }
    for (first, body) in packets {
        violation(&stage, &wire::packet(first, &body)).await?;
    }
    Ok(())
}

async fn reasons_that_are_not_listed_end_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let answers = [(1, 0x40), (1, 0x40), (2, 0x50), (2, 0x50)];
    for ((qos, first), reason) in answers.into_iter().zip([0x01, 0x92, 0x04, 0xff]) {
        let mut client = stage.subscriber("client", &[(&topic, qos)]).await?;
        let mut publisher = stage.client("publisher").await?;
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let message = client.publish_on(&topic).await?;
        let [high, low] = message.id.to_be_bytes();
        client.send_packet(first, &[high, low, reason]).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("reason {reason:#04x} in {first:#04x}"))?;
    }
    for (first, reason) in [(0x62, 0x10), (0x62, 0x80), (0x70, 0x10), (0x70, 0x83)] {
        let mut client = stage.client("client").await?;
        client.send_packet(first, &[0, 1, reason]).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("reason {reason:#04x} in {first:#04x}"))?;
    }
    Ok(())
}

async fn packet_identifier_0_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let packets = [
        (0x82, wire::subscribe(0, &[], &[(topic, 0)])),
        (0xa2, wire::unsubscribe(0, &[], &[topic])),
        (0x32, wire::publish(topic, 0, &[], b"message")),
        (0x34, wire::publish(topic, 0, &[], b"message")),
    ];
    for (first, body) in packets {
        violation(&stage, &wire::packet(first, &body)).await?;
    }
    Ok(())
}

/// A length has four bytes at most.
async fn an_endless_length_ends_the_connection(stage: Stage) -> Result<()> {
    violation(&stage, &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]).await?;
    violation(&stage, &[0xc0, 0x80, 0x80, 0x80, 0x80, 0x00]).await?;
    let mut client = stage.open().await?;
    client
        .send_bytes(&[0x10, 0xff, 0xff, 0xff, 0xff, 0xff])
        .await?;
    let end = client.next().await?;
    ensure!(
        matches!(end, Packet::Closed | Packet::ConnAck(_)),
        "{end:?}"
    );
    Ok(())
}

/// More QoS 2 messages than the server's Receive Maximum, none of them released.
async fn too_many_messages_under_way_end_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let (mut client, connack) = stage.answered(&stage.options("client")).await?;
    let most = match connack.properties.get(0x21) {
        Some(most) => u16::from_be_bytes(most[..].try_into()?),
        None => u16::MAX,
    };
    for id in 1..=most {
        client
            .send_publish(id, &topic, b"", 2, false, false, &[])
            .await?;
        client.acked(5, id).await?;
    }
    // All identifiers are in use where there is no limit.
    let Some(id) = most.checked_add(1) else {
        return Ok(());
    };
    client
        .send_publish(id, &topic, b"", 2, false, false, &[])
        .await?;
    let mut end = client.next().await?;
    if let Packet::Disconnect(reason, _) = end {
        ensure!(reason == 0x93, "DISCONNECT {reason:#04x}");
        end = client.next().await?;
    }
    ensure!(end == Packet::Closed, "{end:?}");
    Ok(())
}

async fn a_violation_ends_no_other_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    violation(&stage, &[0x00, 0]).await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(message.payload == "message", "{message:?}");
    Ok(())
}

async fn an_error_code_is_followed_by_the_end(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/#");
    let errors = [
        vec![0x00, 0],
        wire::packet(0x32, &wire::publish(topic.as_bytes(), 1, &[], b"")),
        wire::packet(0x82, &wire::subscribe(1, &[], &[])),
    ];
    for error in errors {
        let mut client = stage.client("client").await?;
        // What comes behind it is not answered.
        client.send_bytes(&[&*error, &[0xc0, 0]].concat()).await?;
        let mut end = client.next().await?;
        if let Packet::Disconnect(reason, _) = end {
            ensure!(reason >= 0x80, "DISCONNECT {reason:#04x} to {error:02x?}");
            end = client.next().await?;
        }
        ensure!(end == Packet::Closed, "{end:?} to {error:02x?}");
    }
    let method = stage
        .options("client")
        .property(0x15, wire::counted(b"NONE"));
    let mut client = stage.open().await?;
    if let Ok(connack) = client.connect(&method).await {
        ensure!(connack.code >= 0x80, "{connack:?}");
        client.closed().await?;
    }
    Ok(())
}

async fn an_error_code_of_a_client_is_the_end(stage: Stage) -> Result<()> {
    for reason in [0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x99] {
        let mut client = stage.client("client").await?;
        client.send_bytes(&[0xe0, 1, reason, 0xc0, 0]).await?;
        let end = client.next().await?;
        ensure!(end == Packet::Closed, "{end:?} to {reason:#04x}");
    }
    Ok(())
}
