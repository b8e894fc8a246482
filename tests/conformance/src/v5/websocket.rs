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
    let id = wire::counted(stage.client_id("client").as_bytes());
    wire::packet(0x10, &wire::connect(2, &[], &id))
}

/// Reads until the PINGRESP that ends what was asked for. A text frame would be an error.
async fn until_pong(socket: &mut WebSocket) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    while !answer.ends_with(&[0xd0, 0]) {
        answer.extend(
            socket
                .bytes(1)
                .await
                .with_context(|| format!("{answer:02x?}"))?,
        );
    }
    Ok(answer)
}

async fn websocket_packets_are_in_binary_frames(stage: Stage) -> Result<()> {
    let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
    socket.send_binary(&connect(&stage)).await?;
    socket.send_binary(&[0xc0, 0]).await?;
    let answer = until_pong(&mut socket).await?;
    ensure!(answer.starts_with(&[0x20]), "{answer:02x?}");
    Ok(())
}

async fn a_text_frame_ends_the_connection(stage: Stage) -> Result<()> {
    let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
    socket.send_binary(&connect(&stage)).await?;
    socket.send_binary(&[0xc0, 0]).await?;
    until_pong(&mut socket).await?;
    socket.send_text("\u{0}\u{0}").await?;
    loop {
        // A DISCONNECT may come before.
        match socket.next().await? {
            Frame::End => break,
            Frame::Binary(bytes) => ensure!(bytes.starts_with(&[0xe0]), "{bytes:02x?}"),
            other @ Frame::Text(_) => anyhow::bail!("{other:?}"),
        }
    }
    let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
    socket.send_text("CONNECT").await?;
    let answer = socket.next().await?;
    ensure!(answer == Frame::End, "{answer:?}");
    Ok(())
}

async fn frames_need_not_align_with_packets(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let packets = [
        connect(&stage),
        wire::packet(0x82, &wire::subscribe(1, &[], &[(topic, 0)])),
        wire::packet(0x32, &wire::publish(topic, 2, &[], b"message")),
        vec![0xc0, 0],
    ]
    .concat();
    let message = [&*wire::counted(topic), &[0], b"message"].concat();
    let message = wire::packet(0x30, &message);
    for size in [1, 5, packets.len()] {
        let mut socket = WebSocket::open(&stage, &["mqtt"]).await?;
        for piece in packets.chunks(size) {
            socket.send_binary(piece).await?;
        }
        let mut answer = Vec::new();
        // The message may come before the PINGRESP or after it.
        let holds = |answer: &[u8], part: &[u8]| answer.windows(part.len()).any(|one| one == part);
        while !(holds(&answer, &message) && holds(&answer, &[0xd0, 0])) {
            let more = socket.bytes(1).await;
            answer.extend(more.with_context(|| format!("frames of {size}: {answer:02x?}"))?);
        }
        // A PUBACK may have a reason and a Property Length, or not.
        let pubacks: [&[u8]; 3] = [
            &[0x40, 2, 0, 2],
            &[0x40, 3, 0, 2, 0],
            &[0x40, 4, 0, 2, 0, 0],
        ];
        let any = pubacks.iter().any(|puback| holds(&answer, puback));
        ensure!(any, "{answer:02x?}");
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
