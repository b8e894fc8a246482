//! What follows a CONNECT: section 3.1.4.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::bare::Bare;
use super::ending::refused;
use super::wire;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.4 Actions of CONNECT",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.4-1",
        "A CONNECT that is not as section 3.1 has it ends the connection.",
    ),
    server(
        "MQTT-3.1.4-2",
        "A CONNECT that fails a further check ends the connection.",
    ),
    server(
        "MQTT-3.1.4-3",
        "Another connection of the client id ends, with DISCONNECT 0x8E.",
    ),
    server("MQTT-3.1.4-4", "Clean Start is then carried out."),
    server(
        "MQTT-3.1.4-5",
        "CONNACK 0x00 answers a CONNECT that is let in.",
    ),
    server(
        "MQTT-3.1.4-6",
        "Of a client that is refused, nothing that follows the CONNECT is handled but AUTH.",
    ),
];

const CASES: &[Case] = &[
    case!(a_malformed_connect_is_refused, "MQTT-3.1.4-1"),
    case!(a_connect_with_wrong_properties_is_refused, "MQTT-3.1.4-1"),
    case!(a_connect_that_is_refused_is_cut, "MQTT-3.1.4-2"),
    case!(another_connection_of_the_client_ends, "MQTT-3.1.4-3"),
    case!(
        a_takeover_starts_cleanly_or_resumes,
        "MQTT-3.1.4-4",
        "MQTT-3.1.4-5"
    ),
    case!(
        what_follows_a_connect_is_handled_after_it,
        "MQTT-3.1.4-5",
        "MQTT-3.2.0-1"
    ),
    case!(what_follows_a_refused_connect_is_ignored, "MQTT-3.1.4-6"),
];

async fn a_malformed_connect_is_refused(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let whole = wire::connect(2, &[0x11, 0, 0, 0, 9], &id);
    for length in 0..whole.len() {
        let (start, _) = whole.split_at(length);
        let mut client = stage.open().await?;
        client.send_packet(0x10, start).await?;
        refused(&mut client, None)
            .await
            .with_context(|| format!("cut after {length} bytes"))?;
    }
    let mut client = stage.open().await?;
    client.send_packet(0x10, &[&*whole, &[0]].concat()).await?;
    refused(&mut client, None).await.context("a byte too many")
}

async fn a_connect_with_wrong_properties_is_refused(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let expiry: &[u8] = &[0x11, 0, 0, 0, 9];
    let sections = [
        ("a property twice", [expiry, expiry].concat()),
        ("a property cut short", vec![0x11, 0, 0]),
        ("one of PUBLISH", vec![0x23, 0, 1]),
        ("one of CONNACK", vec![0x24, 1]),
        ("an unknown property", vec![0x7f, 0]),
        ("Receive Maximum 0", vec![0x21, 0, 0]),
        ("Maximum Packet Size 0", vec![0x27, 0, 0, 0, 0]),
        ("Request Problem Information 2", vec![0x17, 2]),
        ("Request Response Information 2", vec![0x19, 2]),
        (
            "authentication data without a method",
            wire::text(0x16, b"data"),
        ),
    ];
    for (what, properties) in sections {
        let mut client = stage.open().await?;
        let connect = wire::connect(2, &properties, &id);
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None).await.context(what)?;
    }
    let wills = [
        ("one of CONNECT", vec![0x21, 0, 1]),
        ("a delay twice", [[0x18, 0, 0, 0, 1]; 2].concat()),
        ("Payload Format Indicator 2", vec![0x01, 2]),
        ("a topic alias", vec![0x23, 0, 1]),
    ];
    for (what, properties) in wills {
        let mut client = stage.open().await?;
        let will = wire::will(&properties, b"topic", b"message");
        let connect = wire::connect(6, &[], &[&*id, &will].concat());
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None)
            .await
            .with_context(|| format!("in a will: {what}"))?;
    }
    Ok(())
}

/// An authentication method that nobody has is refused by every broker.
async fn a_connect_that_is_refused_is_cut(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let method = wire::text(0x15, b"CONFORMANCE-NO-SUCH-METHOD");
    let mut client = stage.open().await?;
    let connect = wire::connect(2, &method, &id);
    client.send_packet(0x10, &connect).await?;
    refused(&mut client, None).await?;
    // A will to a topic that is no topic name.
    let will = wire::will(&[], b"topic/#", b"message");
    let mut client = stage.open().await?;
    let connect = wire::connect(6, &[], &[&*id, &will].concat());
    client.send_packet(0x10, &connect).await?;
    refused(&mut client, None).await
}

async fn another_connection_of_the_client_ends(stage: Stage) -> Result<()> {
    let options = stage.lasting("client");
    for options in [options.clone(), stage.options("client"), options] {
        let mut old = stage.connected(&options).await?;
        let mut new = stage.connected(&options).await?;
        let reason = old.disconnected().await?;
        ensure!(reason == 0x8e, "DISCONNECT {reason:#04x}");
        old.closed().await?;
        new.ping().await?;
    }
    Ok(())
}

async fn a_takeover_starts_cleanly_or_resumes(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let options = stage.lasting("client");
    let mut old = stage.connected(&options).await?;
    old.subscribe(&[(&topic, 1)]).await?;
    let (mut new, connack) = stage.answered(&options).await?;
    ensure!(connack.code == 0 && connack.session_present, "{connack:?}");
    publisher.publish_done(&topic, "message", 1, false).await?;
    new.take(&topic).await?;
    let (mut clean, connack) = stage.answered(&stage.options("client")).await?;
    ensure!(connack.code == 0 && !connack.session_present, "{connack:?}");
    publisher.publish_done(&topic, "message", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut clean).await
}

async fn what_follows_a_connect_is_handled_after_it(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let id = wire::counted(stage.client_id("client").as_bytes());
    let packets = [
        wire::packet(0x10, &wire::connect(2, &[], &id)),
        wire::packet(0x82, &wire::subscribe(1, &[], &[(topic, 0)])),
        wire::packet(0x32, &wire::publish(topic, 2, &[], b"message")),
    ];
    let mut client = stage.open().await?;
    client.send_bytes(&packets.concat()).await?;
    let first = client.next().await?;
    let accepted = matches!(&first, Packet::ConnAck(connack) if connack.code == 0);
    ensure!(accepted, "{first:?}");
    let second = client.next().await?;
    ensure!(second == Packet::SubAck(1, vec![0]), "{second:?}");
    client.acked(4, 2).await?;
    client.publish_on(&stage.topic("topic")).await?;
    Ok(())
}

async fn what_follows_a_refused_connect_is_ignored(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let id = wire::counted(stage.client_id("client").as_bytes());
    let method = wire::text(0x15, b"CONFORMANCE-NO-SUCH-METHOD");
    let refused = wire::packet(0x10, &wire::connect(2, &method, &id));
    let publish = wire::publish(topic.as_bytes(), 1, &[], b"message");
    let retained = wire::packet(0x33, &publish);
    let mut bare = Bare::open(&stage).await?;
    bare.send_bytes(&[refused, retained].concat()).await?;
    for packet in bare.until_closed().await? {
        ensure!(packet.kind() == 2, "{packet:02x?}");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await?;
    let mut late = stage.subscriber("late", &[(&topic, 2)]).await?;
    stage.nothing_more(&mut publisher, &mut late).await
}
