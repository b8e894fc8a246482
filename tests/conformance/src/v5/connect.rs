//! CONNECT and its protocol: sections 3.1 to 3.1.2.3.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::bare::Bare;
use super::ending::refused;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1 CONNECT",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.0-1",
        "The first packet of a connection is a CONNECT; for a server, another ends it.",
    ),
    server(
        "MQTT-3.1.0-2",
        "A second CONNECT is a protocol error and ends the connection.",
    ),
    server(
        "MQTT-3.1.2-1",
        "The protocol's name is MQTT; with another, the connection ends, perhaps after CONNACK 0x84.",
    ),
    server(
        "MQTT-3.1.2-2",
        "A protocol version that is not supported ends the connection, perhaps after CONNACK 0x84.",
    ),
    server(
        "MQTT-3.1.2-3",
        "The reserved connect flag is 0, and a server checks that.",
    ),
];

const CASES: &[Case] = &[
    case!(a_first_packet_other_than_connect_is_cut, "MQTT-3.1.0-1"),
    case!(a_second_connect_ends_the_connection, "MQTT-3.1.0-2"),
    case!(another_protocol_name_is_refused, "MQTT-3.1.2-1"),
    case!(another_protocol_version_is_refused, "MQTT-3.1.2-2"),
    case!(the_reserved_connect_flag_is_checked, "MQTT-3.1.2-3"),
];

async fn a_first_packet_other_than_connect_is_cut(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let packets = [
        ("PUBLISH", 0x32, wire::publish(topic, 1, &[], b"message")),
        ("SUBSCRIBE", 0x82, wire::subscribe(1, &[], &[(topic, 0)])),
        ("PINGREQ", 0xc0, vec![]),
        ("DISCONNECT", 0xe0, vec![]),
        ("AUTH", 0xf0, vec![]),
    ];
    for (what, first, body) in packets {
        let mut client = stage.open().await?;
        client.send_packet(first, &body).await?;
        let end = client.next().await?;
        ensure!(end == Packet::Closed, "{what}: {end:?}");
    }
    Ok(())
}

async fn a_second_connect_ends_the_connection(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let mut client = stage.client("client").await?;
    client
        .send_packet(0x10, &wire::connect(2, &[], &id))
        .await?;
    cut(&mut client).await
}

async fn another_protocol_name_is_refused(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    for name in ["mqtt", "MQTTT", "MQT", "", "MQIsdp"] {
        let connect = wire::connect_as(name.as_bytes(), 5, 2, &[], &id);
        only_refused(&stage, &connect)
            .await
            .with_context(|| format!("protocol name {name:?}"))?;
    }
    Ok(())
}

/// A server may say no as 3.1.1 does: the client need not know MQTT 5.
async fn only_refused(stage: &Stage, connect: &[u8]) -> Result<()> {
    let mut bare = Bare::open(stage).await?;
    bare.send(0x10, connect).await?;
    for packet in bare.until_closed().await? {
        let refusal = packet.first == 0x20 && matches!(packet.body.get(1), Some(0x84 | 1));
        ensure!(refusal, "{packet:02x?}");
    }
    Ok(())
}

async fn another_protocol_version_is_refused(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    for version in [0, 1, 2, 6, 7, 0x7f, 0xff] {
        let connect = wire::connect_as(b"MQTT", version, 2, &[], &id);
        only_refused(&stage, &connect)
            .await
            .with_context(|| format!("version {version}"))?;
    }
    Ok(())
}

async fn the_reserved_connect_flag_is_checked(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    for flags in [0x01, 0x03] {
        let mut client = stage.open().await?;
        client
            .send_packet(0x10, &wire::connect(flags, &[], &id))
            .await?;
        refused(&mut client, None).await?;
    }
    Ok(())
}
