//! CONNACK: sections 3.2.0 to 3.2.2.2.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::bare::Bare;
use super::wire;
use crate::case::case;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.2 CONNACK",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.2.0-1",
        "A CONNACK 0x00 comes before any packet of the server but AUTH.",
    ),
    server(
        "MQTT-3.2.0-2",
        "A connection gets no more than one CONNACK.",
    ),
    server(
        "MQTT-3.2.2-1",
        "The reserved bits of the acknowledge flags are 0.",
    ),
    server("MQTT-3.2.2-2", "After Clean Start 1, Session Present is 0."),
    server(
        "MQTT-3.2.2-3",
        "After Clean Start 0, Session Present says whether there was a session.",
    ),
    client(
        "MQTT-3.2.2-4",
        "A client that has no session closes the connection if it is told of one.",
    ),
    client(
        "MQTT-3.2.2-5",
        "A client that has a session discards it if it is told that there is none.",
    ),
    server(
        "MQTT-3.2.2-6",
        "With a reason other than 0, Session Present is 0.",
    ),
    server(
        "MQTT-3.2.2-7",
        "After a reason of 0x80 or more, the connection ends.",
    ),
    server(
        "MQTT-3.2.2-8",
        "The reason is one that is listed for CONNACK.",
    ),
];

const CASES: &[Case] = &[
    case!(
        the_connack_is_the_first_packet,
        "MQTT-3.2.0-1",
        "MQTT-3.2.0-2"
    ),
    case!(acknowledge_flags_are_0_or_1, "MQTT-3.2.2-1"),
    case!(session_present_is_0_after_a_clean_start, "MQTT-3.2.2-2"),
    case!(session_present_tells_of_the_session, "MQTT-3.2.2-3"),
    case!(
        a_refusal_has_a_listed_reason_and_no_session,
        "MQTT-3.2.2-6",
        "MQTT-3.2.2-7",
        "MQTT-3.2.2-8"
    ),
];

/// Of a session that has messages waiting, too.
async fn the_connack_is_the_first_packet(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2, 1] {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
    }
    // `answered` fails if something else comes first.
    let (mut subscriber, _) = stage.answered(&options).await?;
    for _ in 0..3 {
        subscriber.take(&topic).await?;
    }
    subscriber.ping().await?;
    let again = { subscriber.unasked() }.find(|packet| matches!(packet, Packet::ConnAck(_)));
    ensure!(again.is_none(), "{again:?}");
    Ok(())
}

async fn acknowledge_flags_are_0_or_1(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let lasting = [0x11, 0, 0, 1, 0];
    for (flags, expected) in [(2, 0), (0, 1), (0, 1), (2, 0)] {
        let mut bare = Bare::open(&stage).await?;
        bare.send(0x10, &wire::connect(flags, &lasting, &id))
            .await?;
        let connack = bare.next().await?.context("closed")?;
        ensure!(connack.body.first() == Some(&expected), "{connack:02x?}");
        bare.until_pong().await?;
    }
    Ok(())
}

async fn session_present_is_0_after_a_clean_start(stage: Stage) -> Result<()> {
    let mut options = stage.lasting("client");
    options.clean = true;
    for _ in 0..3 {
        let (client, connack) = stage.answered(&options).await?;
        ensure!(connack.code == 0 && !connack.session_present, "{connack:?}");
        client.disconnect(0).await?;
    }
    Ok(())
}

async fn session_present_tells_of_the_session(stage: Stage) -> Result<()> {
    let options = stage.lasting("client");
    for present in [false, true, true] {
        let (client, connack) = stage.answered(&options).await?;
        ensure!(connack.code == 0, "{connack:?}");
        ensure!(connack.session_present == present, "{connack:?}");
        client.disconnect(0).await?;
    }
    // A session without an expiry interval ends with its connection.
    let mut options = stage.options("other");
    options.clean = false;
    for _ in 0..2 {
        let (client, connack) = stage.answered(&options).await?;
        ensure!(connack.code == 0 && !connack.session_present, "{connack:?}");
        client.disconnect(0).await?;
    }
    Ok(())
}

/// The reasons of the standard's table for CONNACK.
const REASONS: [u8; 22] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
];

async fn a_refusal_has_a_listed_reason_and_no_session(stage: Stage) -> Result<()> {
    // There is a session that the refusals could tell of.
    let options = stage.lasting("client");
    stage.connected(&options).await?.disconnect(0).await?;
    let id = wire::counted(stage.client_id("client").as_bytes());
    let will = wire::will(&[], b"topic/+", b"message");
    let refusable = [
        (0, wire::text(0x15, b"NO-SUCH-METHOD"), id.clone()),
        (4, vec![], [&*id, &will].concat()),
        (0, vec![0x21, 0, 0], id.clone()),
        (0, vec![0x7f], id.clone()),
        (1, vec![], id.clone()),
        (0, vec![], wire::counted(b"\xff")),
    ];
    for (flags, properties, payload) in refusable {
        let mut bare = Bare::open(&stage).await?;
        bare.send(0x10, &wire::connect(flags, &properties, &payload))
            .await?;
        // This ends only when the connection does.
        for packet in bare.until_closed().await? {
            ensure!(packet.first == 0x20, "{packet:02x?}");
            ensure!(packet.body.first() == Some(&0), "{packet:02x?}");
            let reason = packet.body.get(1).context("no reason")?;
            ensure!(*reason >= 0x80, "accepted with {reason:#04x}");
            ensure!(REASONS.contains(reason), "reason {reason:#04x}");
        }
    }
    Ok(())
}
