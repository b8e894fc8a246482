//! User name, password and keep-alive: sections 3.1.2.8 to 3.1.2.10.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::ending::refused;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.8 Credentials and keep-alive",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.2-16",
        "Without its flag, there is no user name in the payload.",
    ),
    server(
        "MQTT-3.1.2-17",
        "With its flag, there is a user name in the payload.",
    ),
    server(
        "MQTT-3.1.2-18",
        "Without its flag, there is no password in the payload.",
    ),
    server(
        "MQTT-3.1.2-19",
        "With its flag, there is a password in the payload.",
    ),
    client(
        "MQTT-3.1.2-20",
        "A client with a keep-alive and nothing else to send sends PINGREQ.",
    ),
    client(
        "MQTT-3.1.2-21",
        "A client uses the server's keep-alive where it is given one.",
    ),
    server(
        "MQTT-3.1.2-22",
        "Silence of one and a half times the keep-alive ends the connection as a network failure does.",
    ),
];

const CASES: &[Case] = &[
    case!(
        fields_without_their_flag_are_malformed,
        "MQTT-3.1.2-16",
        "MQTT-3.1.2-18"
    ),
    case!(
        flags_without_their_field_are_malformed,
        "MQTT-3.1.2-17",
        "MQTT-3.1.2-19"
    ),
    case!(
        credentials_are_read_as_the_flags_say,
        "MQTT-3.1.2-17",
        "MQTT-3.1.2-19"
    ),
    case!(
        silence_beyond_the_keep_alive_ends_the_connection,
        "MQTT-3.1.2-22"
    ),
    case!(
        any_packet_keeps_the_connection_alive,
        "MQTT-3.1.2-22",
        "MQTT-3.2.2-22"
    ),
];

fn payload(stage: &Stage, fields: &[&[u8]]) -> Vec<u8> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let fields: Vec<u8> = fields
        .iter()
        .flat_map(|field| wire::counted(field))
        .collect();
    [id, fields].concat()
}

async fn fields_without_their_flag_are_malformed(stage: Stage) -> Result<()> {
    let connects: [(&str, u8, &[&[u8]]); 3] = [
        ("no flag", 0x02, &[b"name"]),
        ("only the user name's", 0x82, &[b"name", b"password"]),
        ("only the password's", 0x42, &[b"name", b"password"]),
    ];
    for (what, flags, fields) in connects {
        let mut client = stage.open().await?;
        let connect = wire::connect(flags, &[], &payload(&stage, fields));
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None).await.context(what)?;
    }
    Ok(())
}

async fn flags_without_their_field_are_malformed(stage: Stage) -> Result<()> {
    let connects: [(&str, u8, &[&[u8]]); 3] = [
        ("no user name", 0x82, &[]),
        ("no password", 0xc2, &[b"name"]),
        ("no password, nor a user name", 0x42, &[]),
    ];
    for (what, flags, fields) in connects {
        let mut client = stage.open().await?;
        let connect = wire::connect(flags, &[], &payload(&stage, fields));
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None).await.context(what)?;
    }
    Ok(())
}

/// In MQTT 5 a password may come alone.
async fn credentials_are_read_as_the_flags_say(stage: Stage) -> Result<()> {
    let connects: [(u8, &[&[u8]]); 4] = [
        (0x02, &[]),
        (0x82, &[b"name"]),
        (0xc2, &[b"name", b"\xffpassword\x00"]),
        (0x42, &[b"password"]),
    ];
    for (flags, fields) in connects {
        let mut client = stage.open().await?;
        let connect = wire::connect(flags, &[], &payload(&stage, fields));
        client.send_packet(0x10, &connect).await?;
        let answer = client.next().await?;
        let accepted =
            matches!(&answer, partyline_testkit::Packet::ConnAck(connack) if connack.code == 0);
        ensure!(accepted, "flags {flags:#04x}: {answer:?}");
    }
    Ok(())
}

async fn silence_beyond_the_keep_alive_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut options = stage.options("silent").will(&topic, b"gone", 1, false);
    options.keep_alive = 2;
    let begin = Instant::now();
    let mut silent = stage.connected(&options).await?;
    cut(&mut silent).await?;
    let silence = begin.elapsed();
    // A broker may look at its clients only every few seconds.
    let (least, most) = (Duration::from_secs(2), Duration::from_secs(3 + 6));
    ensure!(least <= silence && silence <= most, "after {silence:?}");
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    Ok(())
}

/// One client's silence is the clock for another, which sends something whenever half of it passed.
async fn any_packet_keeps_the_connection_alive(stage: Stage) -> Result<()> {
    let mut options = stage.options("silent");
    options.keep_alive = 2;
    let mut silent = stage.connected(&options).await?;
    let mut speaking = stage.options("speaking");
    speaking.keep_alive = 2;
    let mut speaking = stage.connected(&speaking).await?;
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    let ended = cut(&mut silent);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            end = &mut ended => {
                end?;
                break;
            }
            _ = beat.tick() => {
                speaking.publish(&stage.topic("topic"), "", 0, false).await?;
            }
        }
    }
    speaking.ping().await
}
