//! PINGREQ and DISCONNECT: sections 3.12 to 3.14.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::bare::{Bare, Raw};
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.12 PINGREQ and 3.14 DISCONNECT",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.12.4-1", "A PINGRESP answers a PINGREQ."),
    server(
        "MQTT-3.14.0-1",
        "The server sends no DISCONNECT before a CONNACK that lets the client in.",
    ),
    server(
        "MQTT-3.14.1-1",
        "Reserved bits of a DISCONNECT are checked; others than 0 are malformed.",
    ),
    server(
        "MQTT-3.14.2-1",
        "The reason of a DISCONNECT is a listed one.",
    ),
    server(
        "MQTT-3.14.2-2",
        "The server's DISCONNECT has no Session Expiry Interval.",
    ),
    server(
        "MQTT-3.14.2-3",
        "No Reason String makes a DISCONNECT larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.14.2-4",
        "No User Property makes a DISCONNECT larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.14.4-1",
        "After a DISCONNECT its sender sends nothing more.",
    ),
    server(
        "MQTT-3.14.4-2",
        "After a DISCONNECT its sender closes the connection.",
    ),
    server(
        "MQTT-3.14.4-3",
        "After DISCONNECT 0x00 the will is discarded unpublished.",
    ),
];

const CASES: &[Case] = &[
    case!(every_pingreq_is_answered, "MQTT-3.12.4-1"),
    case!(before_the_connack_there_is_no_disconnect, "MQTT-3.14.0-1"),
    case!(reserved_bits_of_a_disconnect_are_malformed, "MQTT-3.14.1-1"),
    case!(
        a_disconnect_is_the_last_packet,
        "MQTT-3.14.2-1",
        "MQTT-3.14.2-2",
        "MQTT-3.14.4-1",
        "MQTT-3.14.4-2"
    ),
    case!(
        a_disconnect_fits_the_clients_maximum,
        "MQTT-3.14.2-3",
        "MQTT-3.14.2-4"
    ),
    case!(a_disconnect_of_a_client_is_the_end, "MQTT-3.14.4-3"),
];

async fn every_pingreq_is_answered(stage: Stage) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_bytes(&[0xc0, 0].repeat(50)).await?;
    for _ in 0..50 {
        let answer = client.next().await?;
        ensure!(answer == Packet::PingResp, "{answer:?}");
    }
    let mut keepalive_off = stage.options("other");
    keepalive_off.keep_alive = 0;
    stage.connected(&keepalive_off).await?.ping().await
}

async fn before_the_connack_there_is_no_disconnect(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let firsts = [
        (0xc0, vec![]),
        (0x82, wire::subscribe(1, &[], &[(b"a", 0)])),
        (0x00, vec![]),
        (0x11, wire::connect(2, &[], &id)),
        (0x10, wire::connect(3, &[], &id)),
        (0x10, wire::connect(2, &[0x7f], &id)),
        (0x10, wire::connect(2, &wire::text(0x15, b"NO-SUCH"), &id)),
    ];
    for (first, body) in firsts {
        let mut bare = Bare::open(&stage).await?;
        bare.send(first, &body).await?;
        for packet in bare.until_closed().await? {
            ensure!(packet.kind() == 2, "{packet:02x?} to {body:02x?}");
        }
    }
    Ok(())
}

async fn reserved_bits_of_a_disconnect_are_malformed(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    for flags in [1, 2, 4, 8, 15] {
        let options = stage.options("client").will(&topic, b"gone", 1, false);
        let mut client = stage.connected(&options).await?;
        client.send_packet(0xe0 | flags, &[]).await?;
        let mut packet = client.next().await?;
        if let Packet::Disconnect(reason, _) = packet {
            ensure!(matches!(reason, 0x81 | 0x82), "DISCONNECT {reason:#04x}");
            packet = client.next().await?;
        }
        ensure!(packet == Packet::Closed, "{packet:?}");
        // It was no DISCONNECT, so the will is published.
        subscriber.take(&topic).await?;
    }
    Ok(())
}

/// The reasons that a server may give.
const REASONS: [u8; 28] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

/// Does what ends a connection in many ways, and returns what the broker then sends.
async fn provoked(stage: &Stage, properties: &[u8]) -> Result<Vec<Raw>> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let provocations = [
        (0x10, wire::connect(2, &[], &id)),
        (0x00, vec![]),
        (0x20, vec![0, 0, 0]),
        (0x36, wire::publish(topic, 1, &[], b"")),
        (0x32, wire::publish(topic, 0, &[], b"")),
        (0x32, wire::publish(b"a/#", 1, &[], b"")),
        (0x32, wire::publish(topic, 1, &[0x23, 0, 0], b"")),
        (0x32, wire::publish(topic, 1, &[0x23, 0xff, 0xff], b"")),
        (0x32, wire::publish(topic, 1, &[0x0b, 1], b"")),
        (0x82, wire::subscribe(1, &[], &[])),
        (0x82, wire::subscribe(1, &[], &[(topic, 3)])),
        (0x82, wire::subscribe(1, &[], &[(b"\xff", 0)])),
        (0xa2, wire::unsubscribe(1, &[], &[])),
        (0xf0, vec![]),
        (
            0xf0,
            [&[0x19], &*wire::section(&wire::text(0x15, b"X"))].concat(),
        ),
    ];
    let mut answers = Vec::new();
    for (first, body) in provocations {
        let (mut bare, _) = Bare::connected(stage, "client", properties).await?;
        bare.send(first, &body).await?;
        // Should the broker not mind, this is the end.
        let _ = bare.send(0xe0, &[]).await;
        let packets = bare.until_closed().await?;
        let disconnects = packets.iter().filter(|packet| packet.kind() == 14);
        ensure!(disconnects.count() <= 1, "{packets:02x?}");
        answers.extend(packets.into_iter().filter(|packet| packet.kind() == 14));
    }
    // Another connection of the same client id.
    let (mut old, _) = Bare::connected(stage, "client", properties).await?;
    let _new = Bare::connected(stage, "client", properties).await?;
    answers.extend(old.until_closed().await?);
    Ok(answers)
}

async fn a_disconnect_is_the_last_packet(stage: Stage) -> Result<()> {
    let answers = provoked(&stage, &[]).await?;
    ensure!(!answers.is_empty(), "no DISCONNECT at all");
    for answer in answers {
        ensure!(answer.first == 0xe0, "{answer:02x?}");
        let reason = answer.body.first().copied().unwrap_or_default();
        ensure!(REASONS.contains(&reason), "reason {reason:#04x}");
        let properties = answer.properties()?;
        ensure!(!properties.contains(&0x11), "{answer:02x?}");
    }
    // With packets behind it that would be answered.
    let (mut bare, _) = Bare::connected(&stage, "client", &[]).await?;
    bare.send_bytes(&[0x00, 0, 0xc0, 0, 0xc0, 0]).await?;
    for answer in bare.until_closed().await? {
        ensure!(answer.first == 0xe0, "{answer:02x?}");
    }
    Ok(())
}

async fn a_disconnect_fits_the_clients_maximum(stage: Stage) -> Result<()> {
    for maximum in [64, 72, 90] {
        for answer in provoked(&stage, &[0x27, 0, 0, 0, maximum]).await? {
            let size = answer.size;
            ensure!(size <= usize::from(maximum), "{size} bytes: {answer:02x?}");
        }
    }
    Ok(())
}

async fn a_disconnect_of_a_client_is_the_end(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    let forms: [&[u8]; 3] = [&[], &[0], &[0, 0]];
    for form in forms {
        let mut client = stage.connected(&options).await?;
        let disconnect = wire::packet(0xe0, form);
        let publish = wire::publish(topic.as_bytes(), 1, &[], b"late");
        let publish = wire::packet(0x32, &publish);
        client.send_bytes(&[disconnect, publish].concat()).await?;
        let end = client.next().await?;
        ensure!(end == Packet::Closed, "{end:?} after {form:02x?}");
    }
    // With properties too, and one that is not allowed.
    let mut client = stage.connected(&options).await?;
    let telling = [wire::text(0x1f, b"bye"), wire::user(b"a", b"b")].concat();
    let body = [&[0], &*wire::section(&telling)].concat();
    client.send_packet(0xe0, &body).await?;
    cut(&mut client).await.context("with properties")?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}
