//! CONNECT, its protocol and its reserved flag: sections 3.1.0 and 3.1.2.1 to 3.1.2.3.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1 CONNECT: place, protocol, reserved flag",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.1.0-1", "The first packet of a client is a CONNECT."),
    server("MQTT-3.1.0-2", "A second CONNECT ends the connection."),
    server(
        "MQTT-3.1.2-1",
        "A CONNECT with another protocol name is not handled as one of this standard.",
    ),
    server(
        "MQTT-3.1.2-2",
        "An unsupported protocol level is answered with return code 1, then the connection ends.",
    ),
    server(
        "MQTT-3.1.2-3",
        "A CONNECT whose reserved flag is not 0 ends the connection.",
    ),
];

const CASES: &[Case] = &[
    case!(nothing_is_done_before_connect, "MQTT-3.1.0-1"),
    case!(a_second_connect_ends_the_connection, "MQTT-3.1.0-2"),
    case!(another_protocol_is_not_let_in, "MQTT-3.1.2-1"),
    case!(an_unsupported_level_is_refused_with_1, "MQTT-3.1.2-2"),
    case!(the_reserved_connect_flag_must_be_0, "MQTT-3.1.2-3"),
];

async fn nothing_is_done_before_connect(stage: Stage) -> Result<()> {
    let topic = stage.topic("early");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let packets = [
        (0x32, wire::publish(topic.as_bytes(), 1, b"early")),
        (0x82, wire::subscribe(1, topic.as_bytes(), 0)),
        (0xc0, vec![]),
        (0xe0, vec![]),
    ];
    for (first, body) in packets {
        let mut client = stage.open().await?;
        client.send_packet(first, &body).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("{first:#x}"))?;
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_second_connect_ends_the_connection(stage: Stage) -> Result<()> {
    // With the same client id and with another: neither is let in.
    for name in ["one", "two"] {
        let mut client = stage.client("one").await?;
        let id = stage.client_id(name);
        let connect = wire::connect(2, &[id.as_bytes()]);
        client.send_packet(0x10, &connect).await?;
        cut(&mut client).await?;
    }
    Ok(())
}

async fn another_protocol_is_not_let_in(stage: Stage) -> Result<()> {
    for name in [&b"MQTX"[..], b"mqtt", b"", b"MQTTMQTT"] {
        let id = stage.client_id("client");
        let body = wire::connect_as(name, 4, 2, &[id.as_bytes()]);
        let mut client = stage.open().await?;
        client.send_packet(0x10, &body).await?;
        // It may be answered as another protocol would, but not with success.
        match client.next().await? {
            Packet::Closed => {}
            Packet::ConnAck(connack) if connack.code > 0 => cut(&mut client).await?,
            other => anyhow::bail!("{other:?} to protocol name {name:?}"),
        }
    }
    Ok(())
}

async fn an_unsupported_level_is_refused_with_1(stage: Stage) -> Result<()> {
    // To a level above 5 a server that also speaks MQTT 5.0 answers as that standard has it.
    for level in [0, 1, 2] {
        let id = stage.client_id("client");
        let connect = wire::connect_as(b"MQTT", level, 2, &[id.as_bytes()]);
        let mut client = stage.open().await?;
        client.send_packet(0x10, &connect).await?;
        let answer = client.next().await?;
        let Packet::ConnAck(connack) = answer else {
            anyhow::bail!("{answer:?} to level {level}")
        };
        ensure!(connack.code == 1, "level {level}: {connack:?}");
        cut(&mut client).await?;
    }
    Ok(())
}

async fn the_reserved_connect_flag_must_be_0(stage: Stage) -> Result<()> {
    let mut client = stage.open().await?;
    let connect = wire::connect(3, &[stage.client_id("client").as_bytes()]);
    client.send_packet(0x10, &connect).await?;
    cut(&mut client).await
}
