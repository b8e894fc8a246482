//! PINGREQ and DISCONNECT: sections 3.12 and 3.14.

use anyhow::{Result, ensure};
use partyline_testkit::Packet;

use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.12 PINGREQ and 3.14 DISCONNECT",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.12.4-1", "A PINGREQ is answered by a PINGRESP."),
    server(
        "MQTT-3.14.1-1",
        "A DISCONNECT whose reserved bits are not 0 is a violation that ends the connection.",
    ),
    client(
        "MQTT-3.14.4-1",
        "After a DISCONNECT the client closes the connection.",
    ),
    client(
        "MQTT-3.14.4-2",
        "After a DISCONNECT the client sends nothing more.",
    ),
    server("MQTT-3.14.4-3", "A DISCONNECT discards the will."),
];

const CASES: &[Case] = &[
    case!(a_pingreq_is_answered, "MQTT-3.12.4-1"),
    case!(a_disconnect_with_flags_is_none, "MQTT-3.14.1-1"),
];

async fn a_pingreq_is_answered(stage: Stage) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_bytes(&[0xc0, 0, 0xc0, 0, 0xc0, 0]).await?;
    for _ in 0..3 {
        let answer = client.next().await?;
        ensure!(answer == Packet::PingResp, "{answer:?}");
    }
    Ok(())
}

/// Both end the connection, but only a DISCONNECT takes the will away.
async fn a_disconnect_with_flags_is_none(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    for flags in [1, 2, 4, 8, 15] {
        let mut client = stage.connected(&options).await?;
        client.send_packet(0xe0 | flags, &[]).await?;
        cut(&mut client).await?;
        let will = subscriber.take(&topic).await?;
        ensure!(will.payload == "gone", "{will:?}");
    }
    Ok(())
}
