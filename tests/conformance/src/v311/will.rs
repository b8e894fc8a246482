//! The will: sections 3.1.2.5 to 3.1.2.7.

use anyhow::{Context, Result, ensure};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.5 Will",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.2-8",
        "The will is published when the connection ends, unless a DISCONNECT took it away.",
    ),
    server(
        "MQTT-3.1.2-9",
        "With the Will flag, Will QoS and Will Retain are used, and topic and message are in the payload.",
    ),
    server(
        "MQTT-3.1.2-10",
        "The will is forgotten once it was published or a DISCONNECT came.",
    ),
    server(
        "MQTT-3.1.2-11",
        "Without the Will flag, QoS and Retain of the will are 0, and the payload has no topic and message of it.",
    ),
    server(
        "MQTT-3.1.2-12",
        "Without the Will flag, no will is published.",
    ),
    server("MQTT-3.1.2-13", "Without the Will flag, Will QoS is 0."),
    server("MQTT-3.1.2-14", "Will QoS is not 3."),
    server("MQTT-3.1.2-15", "Without the Will flag, Will Retain is 0."),
    server(
        "MQTT-3.1.2-16",
        "With Will Retain 0, the will is published without RETAIN.",
    ),
    server(
        "MQTT-3.1.2-17",
        "With Will Retain 1, the will is published as a retained message.",
    ),
];

const CASES: &[Case] = &[
    case!(
        a_will_is_published_when_the_socket_is_lost,
        "MQTT-3.1.2-8",
        "MQTT-3.1.2-9"
    ),
    case!(
        a_will_is_published_after_a_protocol_violation,
        "MQTT-3.1.2-8"
    ),
    case!(a_will_is_published_at_a_takeover, "MQTT-3.1.2-8"),
    case!(a_will_without_its_fields_is_malformed, "MQTT-3.1.2-9"),
    case!(a_will_is_published_once, "MQTT-3.1.2-10"),
    case!(
        a_disconnect_takes_the_will_away,
        "MQTT-3.1.2-8",
        "MQTT-3.1.2-10",
        "MQTT-3.14.4-3"
    ),
    case!(
        will_bits_without_the_will_flag_are_malformed,
        "MQTT-3.1.2-11",
        "MQTT-3.1.2-13",
        "MQTT-3.1.2-15"
    ),
    case!(
        will_fields_without_the_will_flag_are_malformed,
        "MQTT-3.1.2-11"
    ),
    case!(without_a_will_nothing_is_published, "MQTT-3.1.2-12"),
    case!(will_qos_3_is_malformed, "MQTT-3.1.2-14"),
    case!(a_will_without_retain_is_not_kept, "MQTT-3.1.2-16"),
    case!(a_will_with_retain_is_kept, "MQTT-3.1.2-17"),
];

async fn a_will_is_published_when_the_socket_is_lost(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    for qos in 0..=2 {
        let options = stage.options("client").will(&topic, b"gone", qos, false);
        drop(stage.connected(&options).await?);
        let will = subscriber.take(&topic).await?;
        ensure!(will.payload == "gone" && will.qos == qos, "{will:?}");
    }
    Ok(())
}

async fn a_will_is_published_after_a_protocol_violation(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    let mut client = stage.connected(&options).await?;
    client.send_packet(0x00, &[]).await?;
    cut(&mut client).await?;
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    Ok(())
}

async fn a_will_is_published_at_a_takeover(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    let _old = stage.connected(&options).await?;
    let _new = stage.client("client").await?;
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    Ok(())
}

async fn a_will_without_its_fields_is_malformed(stage: Stage) -> Result<()> {
    let id = stage.client_id("client");
    let id = id.as_bytes();
    let payloads: [&[&[u8]]; 2] = [&[id], &[id, b"topic"]];
    for fields in payloads {
        let mut client = stage.open().await?;
        client
            .send_packet(0x10, &wire::connect(0x06, fields))
            .await?;
        cut(&mut client).await?;
    }
    Ok(())
}

async fn a_will_is_published_once(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let options = stage.lasting("client");
    drop(
        stage
            .connected(&options.clone().will(&topic, b"gone", 1, false))
            .await?,
    );
    subscriber.take(&topic).await?;
    // The same session without a will, lost as well; the next connection proves that it is.
    drop(stage.connected(&options).await?);
    stage.connected(&options).await?.disconnect(0).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_disconnect_takes_the_will_away(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for retain in [false, true] {
        let options = stage.options("client").will(&topic, b"gone", 1, retain);
        stage.connected(&options).await?.disconnect(0).await?;
        // Nor is it when the client is back and gone again.
        stage.client("client").await?.disconnect(0).await?;
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn will_bits_without_the_will_flag_are_malformed(stage: Stage) -> Result<()> {
    let id = stage.client_id("client");
    for (what, flags) in [("QoS 1", 0x0a), ("QoS 2", 0x12), ("retain", 0x22)] {
        let mut client = stage.open().await?;
        let connect = wire::connect(flags, &[id.as_bytes()]);
        client.send_packet(0x10, &connect).await?;
        cut(&mut client).await.context(what)?;
    }
    Ok(())
}

async fn will_fields_without_the_will_flag_are_malformed(stage: Stage) -> Result<()> {
    let id = stage.client_id("client");
    let mut client = stage.open().await?;
    let connect = wire::connect(0x02, &[id.as_bytes(), b"topic", b"message"]);
    client.send_packet(0x10, &connect).await?;
    cut(&mut client).await
}

async fn without_a_will_nothing_is_published(stage: Stage) -> Result<()> {
    let filter = stage.topic("#");
    let mut subscriber = stage.subscriber("subscriber", &[(&filter, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    // A will of the same client id's earlier connection is not this connection's.
    let topic = stage.topic("will");
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    stage.connected(&options).await?.disconnect(0).await?;
    drop(stage.client("client").await?);
    stage.client("client").await?.disconnect(0).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn will_qos_3_is_malformed(stage: Stage) -> Result<()> {
    let id = stage.client_id("client");
    let mut client = stage.open().await?;
    let connect = wire::connect(0x1e, &[id.as_bytes(), b"topic", b"message"]);
    client.send_packet(0x10, &connect).await?;
    cut(&mut client).await
}

async fn a_will_without_retain_is_not_kept(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut first = stage.subscriber("first", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    drop(stage.connected(&options).await?);
    let will = first.take(&topic).await?;
    ensure!(!will.retain, "{will:?}");
    let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
    stage.nothing_more(&mut publisher, &mut late).await
}

async fn a_will_with_retain_is_kept(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut first = stage.subscriber("first", &[(&topic, 1)]).await?;
    let options = stage.options("client").will(&topic, b"gone", 1, true);
    drop(stage.connected(&options).await?);
    first.take(&topic).await?;
    let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
    let will = late.take(&topic).await?;
    ensure!(will.retain && will.payload == "gone", "{will:?}");
    Ok(())
}
