//! Enhanced authentication: section 4.12.

use anyhow::{Context, Result, ensure};

use super::bare::Bare;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server, unseen};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.12 Enhanced authentication",
    statements: STATEMENTS,
    cases: CASES,
};

const WHY: &str = "no method is offered, so no authentication goes beyond the CONNECT";

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.12.0-1",
        "An authentication method that is not supported ends the connection, perhaps after CONNACK 0x8C or 0x87.",
    ),
    unseen(
        "MQTT-4.12.0-2",
        "An AUTH by which the server asks for more has reason 0x18.",
        WHY,
    ),
    client(
        "MQTT-4.12.0-3",
        "An AUTH by which the client goes on has reason 0x18.",
    ),
    unseen(
        "MQTT-4.12.0-4",
        "A server that rejects the authentication on the way closes the connection.",
        WHY,
    ),
    unseen(
        "MQTT-4.12.0-5",
        "Every AUTH and a CONNACK that lets in name the method of the CONNECT.",
        WHY,
    ),
    server(
        "MQTT-4.12.0-6",
        "Without a method in the CONNECT the server sends no AUTH, and no method in the CONNACK.",
    ),
    client(
        "MQTT-4.12.0-7",
        "Without a method in its CONNECT a client sends no AUTH.",
    ),
    client(
        "MQTT-4.12.1-1",
        "A client authenticates anew with AUTH 0x19 and the method of its CONNECT.",
    ),
    server(
        "MQTT-4.12.1-2",
        "A new authentication that fails ends the connection.",
    ),
];

const CASES: &[Case] = &[
    case!(a_method_that_is_not_supported_is_refused, "MQTT-4.12.0-1"),
    case!(without_a_method_the_server_names_none, "MQTT-4.12.0-6"),
    case!(
        a_new_authentication_without_a_method_ends_the_connection,
        "MQTT-4.12.1-2"
    ),
];

async fn a_method_that_is_not_supported_is_refused(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let method = wire::text(0x15, b"CONFORMANCE-NO-SUCH-METHOD");
    let data = wire::text(0x16, b"\x00data\xff");
    for properties in [&*method, &[&*method, &data].concat()] {
        let mut bare = Bare::open(&stage).await?;
        bare.send(0x10, &wire::connect(2, properties, &id)).await?;
        let answers = bare.until_closed().await?;
        ensure!(answers.len() <= 1, "{answers:02x?}");
        for answer in answers {
            ensure!(answer.first == 0x20, "{answer:02x?}");
            let reason = answer.body.get(1).copied();
            let right = matches!(reason, Some(0x8c | 0x87));
            ensure!(right, "reason {reason:02x?}");
        }
    }
    Ok(())
}

async fn without_a_method_the_server_names_none(stage: Stage) -> Result<()> {
    for properties in [&[][..], &[0x17, 1, 0x19, 1]] {
        let (mut bare, connack) = Bare::connected(&stage, "client", properties).await?;
        let told = connack.properties()?;
        let telling = told.iter().any(|id| matches!(id, 0x15 | 0x16));
        ensure!(!telling, "{connack:02x?}");
        let others = bare.until_pong().await?;
        ensure!(others.is_empty(), "{others:02x?}");
    }
    Ok(())
}

async fn a_new_authentication_without_a_method_ends_the_connection(stage: Stage) -> Result<()> {
    let method = wire::section(&wire::text(0x15, b"METHOD"));
    let bodies = [
        vec![],
        vec![0x19],
        [&[0x19], &*method].concat(),
        [&[0x18], &*method].concat(),
        [&[0x00], &*method].concat(),
    ];
    for body in bodies {
        let mut client = stage.client("client").await?;
        client.send_packet(0xf0, &body).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("AUTH {body:02x?}"))?;
    }
    Ok(())
}
