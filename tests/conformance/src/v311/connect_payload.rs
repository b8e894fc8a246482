//! The payload of CONNECT: section 3.1.3.

use anyhow::{Context, Result, ensure};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.3 CONNECT: payload",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.3-1",
        "The fields are client id, will topic, will message, user name and password, in this order.",
    ),
    server("MQTT-3.1.3-2", "The client id tells whose state it is."),
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
        "A client that may give an empty client id gets one of its own.",
    ),
    client(
        "MQTT-3.1.3-7",
        "A client with an empty client id asks for a clean session.",
    ),
    server(
        "MQTT-3.1.3-8",
        "An empty client id without a clean session is answered with return code 2, then the connection ends.",
    ),
    server(
        "MQTT-3.1.3-9",
        "A rejected client id is answered with return code 2, then the connection ends.",
    ),
    server("MQTT-3.1.3-10", "The will topic is a UTF-8 string."),
    server("MQTT-3.1.3-11", "The user name is a UTF-8 string."),
];

const CASES: &[Case] = &[
    case!(the_fields_of_the_payload_have_an_order, "MQTT-3.1.3-1"),
    case!(sessions_go_by_client_id, "MQTT-3.1.3-2"),
    case!(a_connect_without_client_id_is_malformed, "MQTT-3.1.3-3"),
    case!(letters_and_digits_make_a_client_id, "MQTT-3.1.3-5"),
    case!(an_empty_client_id_becomes_one_of_its_own, "MQTT-3.1.3-6"),
    case!(
        an_empty_client_id_needs_a_clean_session,
        "MQTT-3.1.3-8",
        "MQTT-3.1.3-9"
    ),
    case!(a_rejected_client_id_is_answered_with_2, "MQTT-3.1.3-9"),
];

async fn the_fields_of_the_payload_have_an_order(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let id = stage.client_id("client");
    let fields: [&[u8]; 5] = [
        id.as_bytes(),
        topic.as_bytes(),
        b"gone",
        b"user",
        b"password",
    ];
    let mut first = stage.open().await?;
    first
        .send_packet(0x10, &wire::connect(0xce, &fields))
        .await?;
    first.ping().await?;
    // Whose client id is the same ends it: the id was read from its place. So was the will.
    let _second = stage.client("client").await?;
    first.closed().await?;
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    Ok(())
}

async fn sessions_go_by_client_id(stage: Stage) -> Result<()> {
    let names = ["one", "two", "One"];
    for name in names {
        let mut client = stage.connected(&stage.lasting(name)).await?;
        client.subscribe(&[(&stage.topic(name), 1)]).await?;
        client.disconnect(0).await?;
    }
    let mut publisher = stage.client("publisher").await?;
    for name in names {
        publisher
            .publish_done(&stage.topic(name), name, 1, false)
            .await?;
    }
    for name in names {
        let (mut client, connack) = stage.answered(&stage.lasting(name)).await?;
        ensure!(connack.session_present, "{name}: {connack:?}");
        let message = client.take(&stage.topic(name)).await?;
        ensure!(message.payload == name, "{name} has {message:?}");
        stage.nothing_more(&mut publisher, &mut client).await?;
    }
    Ok(())
}

async fn a_connect_without_client_id_is_malformed(stage: Stage) -> Result<()> {
    let mut client = stage.open().await?;
    client.send_packet(0x10, &wire::connect(2, &[])).await?;
    cut(&mut client).await
}

async fn letters_and_digits_make_a_client_id(stage: Stage) -> Result<()> {
    let ids = [
        "Z",
        "0123456789abcdefghijklm",
        "nopqrstuvwxyzABCDEFGHIJ",
        "KLMNOPQRSTUVWXYZ",
    ];
    for id in ids {
        let mut options = stage.options("client");
        id.clone_into(&mut options.client_id);
        let mut client = stage.connected(&options).await.context(id)?;
        client.ping().await?;
    }
    Ok(())
}

async fn an_empty_client_id_becomes_one_of_its_own(stage: Stage) -> Result<()> {
    let mut options = stage.options("");
    options.client_id.clear();
    let (mut one, connack) = stage.answered(&options).await?;
    if connack.code != 0 {
        // It need not be allowed.
        ensure!(connack.code == 2, "{connack:?}");
        return cut(&mut one).await;
    }
    // Two of them are two clients: none ends the other, and each has its own subscriptions.
    let mut two = stage.connected(&options).await?;
    let topics = [stage.topic("one"), stage.topic("two")];
    one.subscribe(&[(&topics[0], 1)]).await?;
    two.subscribe(&[(&topics[1], 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for topic in &topics {
        publisher.publish_done(topic, "message", 1, false).await?;
    }
    one.take(&topics[0]).await?;
    two.take(&topics[1]).await?;
    stage.nothing_more(&mut publisher, &mut one).await?;
    stage.nothing_more(&mut publisher, &mut two).await
}

async fn an_empty_client_id_needs_a_clean_session(stage: Stage) -> Result<()> {
    let mut options = stage.lasting("");
    options.client_id.clear();
    let (mut client, connack) = stage.answered(&options).await?;
    ensure!(connack.code == 2 && !connack.session_present, "{connack:?}");
    cut(&mut client).await
}

/// Ids that a server may reject; if it does, it says so.
async fn a_rejected_client_id_is_answered_with_2(stage: Stage) -> Result<()> {
    let long = "x".repeat(65_535);
    for id in ["with space", "a/+/#", "$id", "Größe", &long] {
        let mut options = stage.options("client");
        id.clone_into(&mut options.client_id);
        let (mut client, connack) = stage.answered(&options).await?;
        match connack.code {
            0 => client.ping().await?,
            2 => cut(&mut client).await?,
            _ => anyhow::bail!("{connack:?}"),
        }
    }
    Ok(())
}
