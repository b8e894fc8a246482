//! Session state and transport: sections 4.1 and 4.2.

use anyhow::{Context, Result, ensure};

use super::clock::pass;
use super::wire;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.1 Session state and 4.2 connections",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.1.0-1",
        "The session is not discarded while the connection is open.",
    ),
    server(
        "MQTT-4.1.0-2",
        "The session is discarded when the connection is closed and the expiry interval has passed.",
    ),
    server(
        "MQTT-4.2.0-1",
        "There is a transport that carries bytes in order and without loss, both ways.",
    ),
];

const CASES: &[Case] = &[
    case!(an_open_connection_keeps_its_session, "MQTT-4.1.0-1"),
    case!(a_session_ends_after_its_expiry, "MQTT-4.1.0-2"),
    case!(a_disconnect_can_end_the_session, "MQTT-4.1.0-2"),
    case!(packets_may_come_in_pieces_of_any_size, "MQTT-4.2.0-1"),
];

/// Though its expiry interval is over, or there is none.
async fn an_open_connection_keeps_its_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let options = stage.options("short").persistent(1);
    let mut short = stage.connected(&options).await?;
    let mut none = stage.subscriber("none", &[(&topic, 2)]).await?;
    short.subscribe(&[(&topic, 2)]).await?;
    pass(&stage, 3).await?;
    for client in [&mut short, &mut none] {
        publisher.publish_done(&topic, "message", 2, false).await?;
        client.take(&topic).await?;
    }
    short.ping().await?;
    drop(short);
    let (_short, connack) = stage.answered(&options).await?;
    ensure!(connack.session_present, "{connack:?}");
    Ok(())
}

async fn a_session_ends_after_its_expiry(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    // At once without an interval, and after it otherwise.
    let mut options = stage.options("none");
    options.clean = false;
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(&topic, 1)]).await?;
    client.disconnect(0).await?;
    let (_client, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "{connack:?}");
    let options = stage.options("short").persistent(1);
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(&topic, 1)]).await?;
    client.disconnect(0).await?;
    publisher.publish_done(&topic, "lost", 1, false).await?;
    pass(&stage, 3).await?;
    let (mut client, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "{connack:?}");
    publisher.publish_done(&topic, "late", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut client).await
}

/// The interval of the DISCONNECT counts.
async fn a_disconnect_can_end_the_session(stage: Stage) -> Result<()> {
    let options = stage.lasting("client");
    for (interval, kept) in [(0, false), (100, true)] {
        let mut client = stage.connected(&options).await?;
        let expiry = wire::section(&[0x11, 0, 0, 0, interval]);
        client.send_packet(0xe0, &[&[0], &*expiry].concat()).await?;
        client.closed().await?;
        let (client, connack) = stage.answered(&options).await?;
        ensure!(connack.session_present == kept, "{connack:?}");
        client.disconnect(0).await?;
    }
    // One that was 0 at the CONNECT cannot be raised.
    let mut client = stage.client("client").await?;
    let expiry = wire::section(&[0x11, 0, 0, 0, 100]);
    client.send_packet(0xe0, &[&[0], &*expiry].concat()).await?;
    client.closed().await?;
    let (_client, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "{connack:?}");
    Ok(())
}

/// The same packets, cut at every byte and all in one piece.
async fn packets_may_come_in_pieces_of_any_size(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let id = wire::counted(stage.client_id("client").as_bytes());
    let large = vec![b'x'; 20_000];
    let publish = |id, payload| wire::publish(topic.as_bytes(), id, &[], payload);
    let packets = [
        (0x10, wire::connect(2, &[], &id)),
        (0x82, wire::subscribe(1, &[], &[(topic.as_bytes(), 1)])),
        (0x32, publish(2, b"small")),
        (0x32, publish(3, &large)),
        (0xc0, Vec::new()),
    ];
    let all: Vec<u8> = { packets.iter() }
        .flat_map(|(first, body)| wire::packet(*first, body))
        .collect();
    for size in [1, 7, 4096, all.len()] {
        let mut client = stage.open().await?;
        for piece in all.chunks(size) {
            client.send_bytes(piece).await?;
        }
        let small = client.publish_on(&topic).await;
        let small = small.with_context(|| format!("pieces of {size}"))?;
        ensure!(small.payload == "small", "{small:?}");
        let message = client.publish_on(&topic).await?;
        ensure!(message.payload == large, "the large message is broken");
        client.acked(4, 3).await?;
    }
    Ok(())
}
