//! CONNACK: section 3.2.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.2 CONNACK",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.2.0-1", "The first packet of a server is a CONNACK."),
    server(
        "MQTT-3.2.2-1",
        "For a clean session, Session Present is 0 and the return code 0.",
    ),
    server(
        "MQTT-3.2.2-2",
        "Where a session is resumed, Session Present is 1.",
    ),
    server(
        "MQTT-3.2.2-3",
        "Where there is none to resume, Session Present is 0 and the return code 0.",
    ),
    server(
        "MQTT-3.2.2-4",
        "With a return code other than 0, Session Present is 0.",
    ),
    server(
        "MQTT-3.2.2-5",
        "After a return code other than 0 the connection ends.",
    ),
    server(
        "MQTT-3.2.2-6",
        "Where no return code fits, the connection ends without a CONNACK.",
    ),
];

const CASES: &[Case] = &[
    case!(connack_comes_before_all_else, "MQTT-3.2.0-1"),
    case!(
        session_present_tells_whether_it_is_resumed,
        "MQTT-3.2.2-1",
        "MQTT-3.2.2-2",
        "MQTT-3.2.2-3"
    ),
    case!(
        a_refusal_has_no_session_and_ends,
        "MQTT-3.2.2-4",
        "MQTT-3.2.2-5",
        "MQTT-3.2.2-6"
    ),
];

/// Even if messages wait, retained ones too, and the client does not wait for the CONNACK.
async fn connack_comes_before_all_else(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("client");
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(&topic, 1)]).await?;
    client.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "message", 1, true).await?;
    let id = stage.client_id("client");
    let packets = [
        wire::packet(0x10, &wire::connect(0, &[id.as_bytes()])),
        wire::packet(0xc0, &[]),
        wire::packet(0x82, &wire::subscribe(1, topic.as_bytes(), 1)),
    ];
    let mut client = stage.open().await?;
    client.send_bytes(&packets.concat()).await?;
    let first = client.next().await?;
    ensure!(matches!(first, Packet::ConnAck(_)), "{first:?}");
    client.publish_on(&topic).await?;
    Ok(())
}

async fn session_present_tells_whether_it_is_resumed(stage: Stage) -> Result<()> {
    let lasting = stage.lasting("client");
    let clean = stage.options("client");
    let steps = [
        ("none there", &lasting, false),
        ("one there", &lasting, true),
        ("clean, one there", &clean, false),
        ("clean, none there", &clean, false),
        ("none there after a clean one", &lasting, false),
        ("one there again", &lasting, true),
    ];
    for (what, options, present) in steps {
        let (client, connack) = stage.answered(options).await.context(what)?;
        ensure!(connack.session_present == present, "{what}: {connack:?}");
        ensure!(connack.code == 0, "{what}: {connack:?}");
        client.disconnect(0).await?;
    }
    Ok(())
}

async fn a_refusal_has_no_session_and_ends(stage: Stage) -> Result<()> {
    // There is a session of this client id, but not for a refused client.
    let kept = stage.connected(&stage.lasting("client")).await?;
    kept.disconnect(0).await?;
    let id = stage.client_id("client");
    let refused = [
        wire::connect(0, &[b""]),
        wire::connect_as(b"MQTT", 1, 0, &[id.as_bytes()]),
        wire::connect_as(b"MQTT", 0, 2, &[id.as_bytes()]),
    ];
    for connect in refused {
        let mut client = stage.open().await?;
        client.send_packet(0x10, &connect).await?;
        let answer = client.next().await?;
        let Packet::ConnAck(connack) = answer else {
            anyhow::bail!("{answer:?} to {connect:02x?}")
        };
        ensure!(matches!(connack.code, 1..=5), "{connack:?}");
        ensure!(!connack.session_present, "{connack:?}");
        cut(&mut client).await?;
    }
    Ok(())
}
