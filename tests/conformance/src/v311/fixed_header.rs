//! The flags of the fixed header: section 2.2.2.

use anyhow::{Context, Result};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "2.2.2 Flags of the fixed header",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-2.2.2-1",
        "Reserved flags have the value that the table of packet types gives.",
    ),
    server("MQTT-2.2.2-2", "Invalid flags end the connection."),
];

const CASES: &[Case] = &[
    case!(packets_of_the_broker_have_their_flags, "MQTT-2.2.2-1"),
    case!(invalid_flags_end_the_connection, "MQTT-2.2.2-2"),
];

/// Every type of packet that a broker sends; the client refuses one with other flags.
async fn packets_of_the_broker_have_their_flags(stage: Stage) -> Result<()> {
    let topic = stage.topic("flags");
    let mut client = stage.subscriber("client", &[(&topic, 2)]).await?;
    for qos in 0..=2 {
        client.publish_done(&topic, "message", qos, false).await?;
        client.take(&topic).await?;
    }
    client.unsubscribe(&[&topic]).await?;
    client.ping().await
}

async fn invalid_flags_end_the_connection(stage: Stage) -> Result<()> {
    let id = stage.client_id("client");
    let mut client = stage.open().await?;
    let connect = wire::connect(2, &[id.as_bytes()]);
    client.send_packet(0x11, &connect).await?;
    cut(&mut client).await.context("CONNECT")?;
    let packets: [(&str, u8, &[u8]); 9] = [
        ("PUBACK", 0x41, &[0, 1]),
        ("PUBREC", 0x52, &[0, 1]),
        ("PUBREL", 0x60, &[0, 1]),
        ("PUBCOMP", 0x78, &[0, 1]),
        ("SUBSCRIBE", 0x80, &wire::subscribe(1, b"filter", 0)),
        ("UNSUBSCRIBE", 0xa3, &wire::unsubscribe(1, b"filter")),
        ("PINGREQ", 0xc1, &[]),
        ("DISCONNECT", 0xe4, &[]),
        ("packet type 0", 0x00, &[]),
    ];
    for (what, first, body) in packets {
        let mut client = stage.client("client").await?;
        client.send_packet(first, body).await?;
        cut(&mut client).await.context(what)?;
    }
    Ok(())
}
