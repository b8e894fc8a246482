//! What follows a CONNECT: section 3.1.4.

use anyhow::{Context, Result, ensure};
use partyline_testkit::{ConnAck, Packet, Properties};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.4 CONNECT: response",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.4-1",
        "A CONNECT that is not as section 3.1 has it ends the connection without a CONNACK.",
    ),
    server(
        "MQTT-3.1.4-2",
        "A client already connected with the same client id is disconnected.",
    ),
    server(
        "MQTT-3.1.4-3",
        "Clean Session is then handled as section 3.1.2.4 says.",
    ),
    server(
        "MQTT-3.1.4-4",
        "A CONNECT that is accepted is answered by a CONNACK with return code 0.",
    ),
    server(
        "MQTT-3.1.4-5",
        "Nothing that follows a rejected CONNECT is processed.",
    ),
];

const CASES: &[Case] = &[
    case!(
        a_malformed_connect_gets_no_connack,
        "MQTT-3.1.4-1",
        "MQTT-3.2.2-6"
    ),
    case!(a_new_connection_ends_the_old_one, "MQTT-3.1.4-2"),
    case!(a_takeover_heeds_clean_session, "MQTT-3.1.4-3"),
    case!(an_accepted_connect_is_answered_with_0, "MQTT-3.1.4-4"),
    case!(nothing_after_a_rejected_connect_is_done, "MQTT-3.1.4-5"),
];

async fn a_malformed_connect_gets_no_connack(stage: Stage) -> Result<()> {
    let id = stage.client_id("client");
    let id = id.as_bytes();
    let whole = wire::connect(0xc6, &[id, b"topic", b"will", b"user", b"password"]);
    // Cut at every byte, and with one byte too many.
    let mut bodies: Vec<_> = (0..whole.len()).map(|end| whole.get(..end)).collect();
    let longer = [&*whole, b"x"].concat();
    bodies.push(Some(&longer));
    for body in bodies {
        let body = body.context("a part of it")?;
        let mut client = stage.open().await?;
        client.send_packet(0x10, body).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("CONNECT {body:02x?}"))?;
    }
    Ok(())
}

async fn a_new_connection_ends_the_old_one(stage: Stage) -> Result<()> {
    for lasting in [false, true] {
        let mut options = stage.options("client");
        options.clean = !lasting;
        let mut old = stage.connected(&options).await?;
        let mut new = stage.connected(&options).await?;
        cut(&mut old).await?;
        new.ping().await?;
    }
    Ok(())
}

async fn a_takeover_heeds_clean_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let options = stage.lasting("client");
    let mut first = stage.connected(&options).await?;
    first.subscribe(&[(&topic, 1)]).await?;
    let (mut second, connack) = stage.answered(&options).await?;
    ensure!(connack.session_present, "resumed: {connack:?}");
    publisher.publish_done(&topic, "message", 1, false).await?;
    second.take(&topic).await?;
    let (mut third, connack) = stage.answered(&stage.options("client")).await?;
    ensure!(!connack.session_present, "clean: {connack:?}");
    publisher.publish_done(&topic, "message", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut third).await
}

async fn an_accepted_connect_is_answered_with_0(stage: Stage) -> Result<()> {
    let mut client = stage.open().await?;
    let id = stage.client_id("client");
    let connect = wire::connect(2, &[id.as_bytes()]);
    client.send_packet(0x10, &connect).await?;
    let expected = Packet::ConnAck(ConnAck {
        session_present: false,
        code: 0,
        properties: Properties::default(),
    });
    let answer = client.next().await?;
    ensure!(answer == expected, "{answer:?}");
    Ok(())
}

async fn nothing_after_a_rejected_connect_is_done(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let id = stage.client_id("client");
    let rejected = [
        ("empty client id", wire::connect(0, &[b""])),
        ("level 1", wire::connect_as(b"MQTT", 1, 2, &[id.as_bytes()])),
        (
            "will QoS 3",
            wire::connect(0x1e, &[id.as_bytes(), topic.as_bytes(), b"will"]),
        ),
    ];
    for (what, connect) in rejected {
        let mut client = stage.open().await?;
        let publish = wire::publish(topic.as_bytes(), 1, b"message");
        let both = [
            wire::packet(0x10, &connect),
            wire::packet(0x32, &publish),
            wire::packet(0xc0, &[]),
        ];
        client.send_bytes(&both.concat()).await?;
        let mut packet = client.next().await.context(what)?;
        if matches!(&packet, Packet::ConnAck(connack) if connack.code > 0) {
            packet = client.next().await.context(what)?;
        }
        ensure!(packet == Packet::Closed, "{what}: {packet:?}");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}
