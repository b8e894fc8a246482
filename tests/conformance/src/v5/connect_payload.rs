//! The payload of CONNECT: section 3.1.3.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use partyline_testkit::{ConnectOptions, Packet};

use super::ending::refused;
use super::wire;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.3 Payload of CONNECT",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.3-1",
        "The fields that the flags announce stand in the order client id, will, user name, password.",
    ),
    server("MQTT-3.1.3-2", "The client id names the session."),
    server(
        "MQTT-3.1.3-3",
        "The client id is there, as the first field.",
    ),
    server("MQTT-3.1.3-4", "The client id is a UTF-8 string."),
    server(
        "MQTT-3.1.3-5",
        "Client ids of 1 to 23 letters and digits are allowed.",
    ),
    server(
        "MQTT-3.1.3-6",
        "A client with an empty client id, where that is allowed, is assigned one of its own.",
    ),
    server(
        "MQTT-3.1.3-7",
        "The CONNECT is then handled as if it had that client id, and the CONNACK tells it.",
    ),
    server(
        "MQTT-3.1.3-8",
        "A client id that is refused ends the connection, perhaps after CONNACK 0x85.",
    ),
    server(
        "MQTT-3.1.3-9",
        "A new connection of the session within the will's delay keeps the will from being published.",
    ),
    server(
        "MQTT-3.1.3-10",
        "The user properties of a will keep their order.",
    ),
    server("MQTT-3.1.3-11", "The will's topic is a UTF-8 string."),
    server(
        "MQTT-3.1.3-12",
        "The user name, where its flag is set, is a UTF-8 string.",
    ),
];

const CASES: &[Case] = &[
    case!(the_fields_are_read_in_their_order, "MQTT-3.1.3-1"),
    case!(each_client_id_has_a_session_of_its_own, "MQTT-3.1.3-2"),
    case!(a_payload_without_client_id_is_malformed, "MQTT-3.1.3-3"),
    case!(
        fields_of_connect_are_strings,
        "MQTT-3.1.3-4",
        "MQTT-3.1.3-11",
        "MQTT-3.1.3-12"
    ),
    case!(simple_client_ids_are_allowed, "MQTT-3.1.3-5"),
    case!(
        an_empty_client_id_is_replaced,
        "MQTT-3.1.3-6",
        "MQTT-3.1.3-7",
        "MQTT-3.2.2-16"
    ),
    case!(an_assigned_client_id_is_as_good_as_another, "MQTT-3.1.3-7"),
    case!(a_refused_client_id_ends_the_connection, "MQTT-3.1.3-8"),
    case!(a_reconnect_within_the_delay_saves_the_will, "MQTT-3.1.3-9"),
    case!(a_will_keeps_its_properties_in_order, "MQTT-3.1.3-10"),
];

async fn the_fields_are_read_in_their_order(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let id = stage.client_id("client");
    let payload = [
        wire::counted(id.as_bytes()),
        wire::will(&[0x01, 1], topic.as_bytes(), b"message of the will"),
        wire::counted(b"user name"),
        wire::counted(b"password"),
    ]
    .concat();
    let mut client = stage.open().await?;
    let connect = wire::connect(0xce, &[], &payload);
    client.send_packet(0x10, &connect).await?;
    let answer = client.next().await?;
    let accepted = matches!(&answer, Packet::ConnAck(connack) if connack.code == 0);
    ensure!(accepted, "{answer:?}");
    drop(client);
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "message of the will", "{will:?}");
    let format = will.properties.get(0x01).map(|value| &value[..]);
    ensure!(format == Some(&[1]), "{will:?}");
    Ok(())
}

async fn each_client_id_has_a_session_of_its_own(stage: Stage) -> Result<()> {
    // Byte by byte: neither case nor composition of characters matters.
    let ids = ["session", "Session", "session2", "\u{e9}", "e\u{301}"];
    for id in ids {
        let (client, connack) = stage.answered(&stage.lasting(id)).await?;
        ensure!(connack.code == 0, "{id}: {connack:?}");
        ensure!(!connack.session_present, "{id} has another's session");
        client.disconnect(0).await?;
    }
    for id in ids {
        let (client, connack) = stage.answered(&stage.lasting(id)).await?;
        ensure!(connack.session_present, "{id} has lost its session");
        client.disconnect(0).await?;
    }
    Ok(())
}

async fn a_payload_without_client_id_is_malformed(stage: Stage) -> Result<()> {
    let name = wire::counted(b"name");
    for (flags, payload) in [(0x02, &[][..]), (0x02, &[0]), (0x82, &name)] {
        let mut client = stage.open().await?;
        let connect = wire::connect(flags, &[], payload);
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None).await?;
    }
    Ok(())
}

async fn fields_of_connect_are_strings(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let bad = b"\xc3\x28";
    let connects = [
        ("client id", 0x02, wire::counted(bad)),
        (
            "will topic",
            0x06,
            [&*id, &wire::will(&[], bad, b"message")].concat(),
        ),
        ("user name", 0x82, [&*id, &wire::counted(bad)].concat()),
    ];
    for (what, flags, payload) in connects {
        let mut client = stage.open().await?;
        let connect = wire::connect(flags, &[], &payload);
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None).await.context(what)?;
    }
    Ok(())
}

async fn simple_client_ids_are_allowed(stage: Stage) -> Result<()> {
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut ids: Vec<&str> = vec!["0", "z", "Z"];
    ids.extend([&all[..23], &all[20..43], &all[39..]]);
    for id in ids {
        // Not made one's own by the stage: other cases may take it over, after it was let in.
        let options = ConnectOptions::new(stage.version, id);
        let (_client, connack) = stage.answered(&options).await?;
        ensure!(connack.code == 0, "{id}: {connack:?}");
    }
    Ok(())
}

fn nameless(stage: &Stage) -> ConnectOptions {
    ConnectOptions::new(stage.version, "")
}

async fn an_empty_client_id_is_replaced(stage: Stage) -> Result<()> {
    let mut clients = Vec::new();
    let mut ids = HashSet::new();
    for clean in [true, false, true, false] {
        let mut options = nameless(&stage);
        options.clean = clean;
        let (client, connack) = stage.answered(&options).await?;
        ensure!(connack.code == 0, "{connack:?}");
        ensure!(!connack.session_present, "{connack:?}");
        let id = connack.properties.text(0x12);
        let id = id.with_context(|| format!("no assigned client id in {connack:?}"))?;
        ensure!(
            !id.is_empty() && ids.insert(id.clone()),
            "{id:?} of {ids:?}"
        );
        clients.push(client);
    }
    for client in &mut clients {
        client.ping().await?;
    }
    // Nobody is told a name that they have.
    let (_client, connack) = stage.answered(&stage.options("named")).await?;
    ensure!(connack.properties.get(0x12).is_none(), "{connack:?}");
    Ok(())
}

async fn an_assigned_client_id_is_as_good_as_another(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut options = nameless(&stage).persistent(300);
    let (mut client, connack) = stage.answered(&options).await?;
    let Some(id) = connack.properties.text(0x12) else {
        bail!("no assigned client id in {connack:?}")
    };
    client.subscribe(&[(&topic, 1)]).await?;
    client.disconnect(0).await?;
    options.client_id = id;
    let (mut client, connack) = stage.answered(&options).await?;
    ensure!(connack.session_present, "{connack:?}");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    client.take(&topic).await?;
    client.disconnect(0).await
}

/// Whatever a broker thinks of these ids, it either lets them in or does this.
async fn a_refused_client_id_ends_the_connection(stage: Stage) -> Result<()> {
    let long = "x".repeat(60_000);
    for id in [&*long, "a/b", "#", "+", "\u{7f}", "\u{1}"] {
        let mut client = stage.open().await?;
        let connect = wire::connect(2, &[], &wire::counted(id.as_bytes()));
        client.send_packet(0x10, &connect).await?;
        match client.next().await? {
            Packet::ConnAck(connack) if connack.code == 0 => client.ping().await?,
            // A character that strings should not have may be malformed instead.
            Packet::ConnAck(connack) => {
                let reason = connack.code;
                ensure!(matches!(reason, 0x81 | 0x85), "{reason:#04x} for {id:.9}");
                client.closed().await?;
            }
            Packet::Closed => {}
            other => bail!("{other:?} for {id:.9}"),
        }
    }
    Ok(())
}

async fn a_reconnect_within_the_delay_saves_the_will(stage: Stage) -> Result<()> {
    let (topic, clock) = (stage.topic("will"), stage.topic("clock"));
    let filters = [(&*topic, 1), (&*clock, 1)];
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let mut publisher = stage.client("publisher").await?;
    let options = stage.lasting("client");
    let will = options.clone().will(&topic, b"gone", 1, false);
    let delayed = will.will_property(0x18, vec![0, 0, 0, 2]);
    drop(stage.connected(&delayed).await?);
    let _back = stage.connected(&options).await?;
    // Another's will, with the same delay but begun later, says when it would have come.
    let other = stage.lasting("clock").will(&clock, b"gone", 1, false);
    let other = other.will_property(0x18, vec![0, 0, 0, 2]);
    drop(stage.connected(&other).await?);
    subscriber.take(&clock).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_will_keeps_its_properties_in_order(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut options = stage.options("client").will(&topic, b"gone", 1, false);
    let pairs = [
        wire::pair(b"b", b"2"),
        wire::pair(b"a", b"1"),
        wire::pair(b"b", b"1"),
        wire::pair(b"", b""),
        wire::pair(b"a", b"1"),
    ];
    for pair in &pairs {
        options = options.will_property(0x26, pair.clone());
    }
    drop(stage.connected(&options).await?);
    let will = subscriber.take(&topic).await?;
    let came = { will.properties.0.iter() }
        .filter(|(id, _)| *id == 0x26)
        .map(|(_, value)| &value[..]);
    ensure!(came.eq(pairs.iter().map(|pair| &pair[..])), "{will:?}");
    Ok(())
}
