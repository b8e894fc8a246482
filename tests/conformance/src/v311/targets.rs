//! What it is to conform: section 7.

use anyhow::{Result, ensure};

use super::wire;
use crate::case::case;
use crate::statement::{client, server, unseen};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "7 Conformance",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    unseen(
        "MQTT-7.0.0-1",
        "A server that also connects to other servers conforms as a client as well.",
        "it is about such connections, and a server need not make any",
    ),
    server(
        "MQTT-7.0.0-2",
        "Nothing beyond the standard is needed to work together.",
    ),
    server(
        "MQTT-7.1.1-1",
        "A server supports a transport that carries bytes in order and without loss, both ways.",
    ),
    client("MQTT-7.1.2-1", "A client supports such a transport."),
];

const CASES: &[Case] = &[
    case!(the_standard_alone_is_enough, "MQTT-7.0.0-2"),
    case!(packets_may_come_in_pieces_of_any_size, "MQTT-7.1.1-1"),
];

async fn the_standard_alone_is_enough(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.qos == qos, "{message:?}");
    }
    subscriber.unsubscribe(&[&topic]).await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    publisher.disconnect(0).await?;
    subscriber.ping().await?;
    subscriber.disconnect(0).await
}

/// The same packets, cut at every byte and all in one piece.
async fn packets_may_come_in_pieces_of_any_size(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let id = stage.client_id("client");
    let large = vec![b'x'; 20_000];
    let packets = [
        (0x10, wire::connect(2, &[id.as_bytes()])),
        (0x82, wire::subscribe(1, topic.as_bytes(), 1)),
        (0x32, wire::publish(topic.as_bytes(), 2, b"small")),
        (0x32, wire::publish(topic.as_bytes(), 3, &large)),
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
        let small = client.publish_on(&topic).await?;
        ensure!(small.payload == "small", "{small:?}");
        let message = client.publish_on(&topic).await?;
        ensure!(message.payload == large, "the large message is broken");
        client.acked(4, 3).await?;
    }
    Ok(())
}
