//! Violations and errors: section 4.8.

use anyhow::{Context, Result, ensure};

use crate::case::case;
use crate::ending::cut;
use crate::statement::{server, unseen};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.8 Handling errors",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.8.0-1",
        "A protocol violation ends the connection on which it came.",
    ),
    unseen(
        "MQTT-4.8.0-2",
        "A transient error while a packet is processed ends its connection.",
        "a client cannot bring such an error about",
    ),
];

const CASES: &[Case] = &[
    case!(packets_of_a_server_end_the_connection, "MQTT-4.8.0-1"),
    case!(unknown_packets_end_the_connection, "MQTT-4.8.0-1"),
    case!(bytes_too_many_or_too_few_end_the_connection, "MQTT-4.8.0-1"),
    case!(an_endless_length_ends_the_connection, "MQTT-4.8.0-1"),
    case!(a_violation_ends_no_other_connection, "MQTT-4.8.0-1"),
];

async fn violation(stage: &Stage, bytes: &[u8]) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_bytes(bytes).await?;
    cut(&mut client)
        .await
        .with_context(|| format!("{bytes:02x?}"))
}

async fn packets_of_a_server_end_the_connection(stage: Stage) -> Result<()> {
    let packets: [&[u8]; 4] = [
        &[0x20, 2, 0, 0],
        &[0x90, 3, 0, 1, 0],
        &[0xb0, 2, 0, 1],
        &[0xd0, 0],
    ];
    for packet in packets {
        violation(&stage, packet).await?;
    }
    Ok(())
}

async fn unknown_packets_end_the_connection(stage: Stage) -> Result<()> {
    for packet in [[0x00, 0], [0xf0, 0]] {
        violation(&stage, &packet).await?;
    }
    Ok(())
}

async fn bytes_too_many_or_too_few_end_the_connection(stage: Stage) -> Result<()> {
    let packets: [&[u8]; 8] = [
        // PINGREQ and DISCONNECT have no body.
        &[0xc0, 1, 0],
        &[0xe0, 1, 0],
        // An acknowledgement has two bytes.
        &[0x40, 1, 0],
        &[0x62, 1, 0],
        &[0x40, 3, 0, 1, 0],
        &[0x62, 3, 0, 1, 0],
        // A SUBSCRIBE and an UNSUBSCRIBE whose filter is longer than the packet.
        &[0x82, 6, 0, 1, 0, 9, b'a', 0],
        &[0xa2, 5, 0, 1, 0, 9, b'a'],
    ];
    for packet in packets {
        violation(&stage, packet).await?;
    }
    Ok(())
}

/// A length has four bytes at most.
async fn an_endless_length_ends_the_connection(stage: Stage) -> Result<()> {
    violation(&stage, &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f]).await?;
    violation(&stage, &[0xc0, 0x80, 0x80, 0x80, 0x80, 0x00]).await?;
    let mut client = stage.open().await?;
    client
        .send_bytes(&[0x10, 0xff, 0xff, 0xff, 0xff, 0xff])
        .await?;
    cut(&mut client).await
}

async fn a_violation_ends_no_other_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    violation(&stage, &[0x00, 0]).await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(message.payload == "message", "{message:?}");
    Ok(())
}
