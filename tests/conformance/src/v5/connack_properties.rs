//! The properties of CONNACK: section 3.2.2.3.

use anyhow::{Result, ensure};

use super::bare::Bare;
use super::wire;
use crate::case::case;
use crate::statement::{client, server, unseen};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.2.2.3 Properties of CONNACK",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.2.2-9",
        "A server that does not take every QoS says so with Maximum QoS.",
    ),
    server(
        "MQTT-3.2.2-10",
        "Such a server still takes subscriptions with every QoS.",
    ),
    client(
        "MQTT-3.2.2-11",
        "A client publishes with no more than the Maximum QoS.",
    ),
    unseen(
        "MQTT-3.2.2-12",
        "A will with a QoS that the server does not take is refused.",
        "it binds only servers without QoS 1 or 2; that all are taken is tested at MQTT-3.2.2-9",
    ),
    unseen(
        "MQTT-3.2.2-13",
        "A retained will is refused where retained messages are not offered.",
        "it binds only servers without retained messages; that there are is tested at MQTT-3.3.1-5",
    ),
    client(
        "MQTT-3.2.2-14",
        "A client does not publish with RETAIN where Retain Available is 0.",
    ),
    client(
        "MQTT-3.2.2-15",
        "A client sends nothing larger than the server's Maximum Packet Size.",
    ),
    server(
        "MQTT-3.2.2-16",
        "An empty client id is answered with one that no other session has.",
    ),
    client(
        "MQTT-3.2.2-17",
        "A client sends no topic alias above the server's Topic Alias Maximum.",
    ),
    client(
        "MQTT-3.2.2-18",
        "Without a Topic Alias Maximum, a client sends no topic aliases.",
    ),
    server(
        "MQTT-3.2.2-19",
        "No Reason String makes the CONNACK larger than the client's Maximum Packet Size.",
    ),
    server(
        "MQTT-3.2.2-20",
        "No User Property makes the CONNACK larger than the client's Maximum Packet Size.",
    ),
    client(
        "MQTT-3.2.2-21",
        "A client uses the server's keep-alive where it is given one.",
    ),
    server(
        "MQTT-3.2.2-22",
        "Without a Server Keep Alive, the server uses the client's.",
    ),
];

const CASES: &[Case] = &[
    case!(
        every_qos_is_taken_or_a_maximum_told,
        "MQTT-3.2.2-9",
        "MQTT-3.2.2-10"
    ),
    case!(
        the_connack_fits_the_clients_maximum,
        "MQTT-3.2.2-19",
        "MQTT-3.2.2-20"
    ),
];

async fn every_qos_is_taken_or_a_maximum_told(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let (mut client, connack) = stage.answered(&stage.options("client")).await?;
    let most = match connack.properties.get(0x24).map(|value| &value[..]) {
        None => 2,
        Some([most @ 0..=1]) => *most,
        Some(other) => anyhow::bail!("Maximum QoS {other:02x?}"),
    };
    for qos in 0..=2 {
        let codes = client.subscribe(&[(&topic, qos)]).await?;
        ensure!(codes.iter().all(|code| *code <= qos), "{codes:02x?}");
    }
    for qos in 0..=most {
        client.publish_done(&topic, "message", qos, false).await?;
        let message = client.take(&topic).await?;
        ensure!(message.qos == qos, "{message:?}");
        let will = stage.options("will").will(&topic, b"will", qos, false);
        drop(stage.connected(&will).await?);
        client.take(&topic).await?;
    }
    Ok(())
}

/// With success and with refusals, which like to give reasons.
async fn the_connack_fits_the_clients_maximum(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let method = wire::text(0x15, b"CONFORMANCE-NO-SUCH-METHOD");
    let will = wire::will(&[], b"topic/#", b"message");
    let with_will = [&*id, &will].concat();
    let mut answered = false;
    for maximum in [1, 2, 5, 6, 8, 12, 20, 32, 48, 64, 100] {
        let limit = [0x27, 0, 0, 0, maximum];
        let refused = [&limit, &*method].concat();
        let connects = [
            (2, &limit[..], &id),
            (2, &refused, &id),
            (6, &limit, &with_will),
        ];
        for (flags, properties, payload) in connects {
            let mut bare = Bare::open(&stage).await?;
            bare.send(0x10, &wire::connect(flags, properties, payload))
                .await?;
            // A client that is let in says good-bye; one that is not may be cut before.
            let _ = bare.send(0xe0, &[]).await;
            for packet in bare.until_closed().await? {
                let size = packet.size;
                ensure!(size <= usize::from(maximum), "{size} bytes: {packet:02x?}");
                answered = true;
            }
        }
    }
    ensure!(answered, "no CONNACK at all");
    Ok(())
}
