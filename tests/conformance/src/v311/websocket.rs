//! MQTT over WebSocket: section 6.

use anyhow::{Context, Result, ensure};

use super::wire;
use crate::case::case;
use crate::statement::{client, server};
use crate::websocket::{Frame, WebSocket};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "6 WebSocket",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-6.0.0-1",
        "Packets are sent in binary frames; another data frame ends the connection.",
    ),
    server(
        "MQTT-6.0.0-2",
        "A frame may hold parts of packets and several of them.",
    ),
    client("MQTT-6.0.0-3", "A client offers the subprotocol mqtt."),
    server("MQTT-6.0.0-4", "The server selects the subprotocol mqtt."),
];

const CASES: &[Case] = &[
    case!(websocket_packets_are_in_binary_frames, "MQTT-6.0.0-1"),
    case!(a_text_frame_ends_the_connection, "MQTT-6.0.0-1"),
    case!(frames_need_not_align_with_packets, "MQTT-6.0.0-2"),
    case!(the_subprotocol_is_mqtt, "MQTT-6.0.0-4"),
];

fn connect(stage: &Stage) -> Vec<u8> {
    let id = stage.client_id("client");
    wire::packet(0x10, &wire::connect(2, &[id.as_bytes()]))
}

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];

async fn websocket_packets_are_in_binary_frames(stage: Stage) -> Result<()> {
    let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
    socket.send_binary(&connect(&stage)).await?;
    socket.send_binary(&[0xc0, 0]).await?;
    // A text frame would be an error.
    let answer = socket.bytes(6).await?;
    ensure!(answer == [&CONNACK[..], &[0xd0, 0]].concat(), "{answer:?}");
    Ok(())
}

async fn a_text_frame_ends_the_connection(stage: Stage) -> Result<()> {
    let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
    socket.send_binary(&connect(&stage)).await?;
    socket.bytes(CONNACK.len()).await?;
    socket.send_text("\u{0}\u{0}").await?;
    let answer = socket.next().await?;
    ensure!(answer == Frame::End, "{answer:?}");
    let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
    socket.send_text("CONNECT").await?;
    let answer = socket.next().await?;
    ensure!(answer == Frame::End, "{answer:?}");
    Ok(())
}

async fn frames_need_not_align_with_packets(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let packets = [
        connect(&stage),
        wire::packet(0x82, &wire::subscribe(1, topic.as_bytes(), 0)),
        wire::packet(0x32, &wire::publish(topic.as_bytes(), 2, b"message")),
        vec![0xc0, 0],
    ]
    .concat();
    for size in [1, 5, packets.len()] {
        let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
        for piece in packets.chunks(size) {
            socket.send_binary(piece).await?;
        }
        let message = wire::packet(
            0x30,
            &[&*wire::counted(topic.as_bytes()), b"message"].concat(),
        );
        let length = CONNACK.len() + 5 + message.len() + 4 + 2;
        let answer = socket
            .bytes(length)
            .await
            .with_context(|| format!("frames of {size}"))?;
        let holds = |part: &[u8]| answer.windows(part.len()).any(|window| window == part);
        ensure!(holds(&message) && holds(&[0x40, 2, 0, 2]), "{answer:02x?}");
    }
    Ok(())
}

async fn the_subprotocol_is_mqtt(stage: Stage) -> Result<()> {
    let offers: [&[&str]; 3] = [&["mqtt"], &["chat", "mqtt"], &["mqtt", "superchat"]];
    for offer in offers {
        let socket = WebSocket::open(&stage, offer).await?;
        let selected = socket.subprotocol();
        ensure!(selected == Some("mqtt"), "{selected:?} of {offer:?}");
    }
    Ok(())
}
