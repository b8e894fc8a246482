//! The will: sections 3.1.2.5 to 3.1.2.7.

use anyhow::{Context, Result, ensure};

use super::ending::refused;
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
        "MQTT-3.1.2-7",
        "With the Will flag, the will is stored with the session.",
    ),
    server(
        "MQTT-3.1.2-8",
        "The will is published after the connection ended and its delay or the session as well, unless DISCONNECT 0x00 or a new connection within the delay took it away.",
    ),
    server(
        "MQTT-3.1.2-9",
        "With the Will flag, Will QoS and Will Retain are used, and the will's properties, topic and payload are there.",
    ),
    server(
        "MQTT-3.1.2-10",
        "The will is forgotten once it was published or DISCONNECT 0x00 came.",
    ),
    server("MQTT-3.1.2-11", "Without the Will flag, Will QoS is 0."),
    server("MQTT-3.1.2-12", "Will QoS is 0, 1 or 2."),
    server("MQTT-3.1.2-13", "Without the Will flag, Will Retain is 0."),
    server(
        "MQTT-3.1.2-14",
        "With Will Retain 0, the will is published without RETAIN.",
    ),
    server(
        "MQTT-3.1.2-15",
        "With Will Retain 1, the will is published as a retained message.",
    ),
];

const CASES: &[Case] = &[
    case!(
        a_will_is_published_when_the_socket_is_lost,
        "MQTT-3.1.2-7",
        "MQTT-3.1.2-8",
        "MQTT-3.1.2-9"
    ),
    case!(
        a_will_is_published_after_a_protocol_error,
        "MQTT-3.1.2-7",
        "MQTT-3.1.2-8"
    ),
    case!(
        a_will_is_published_at_a_takeover_that_ends_the_session,
        "MQTT-3.1.2-8"
    ),
    case!(
        a_will_is_published_after_disconnect_with_will,
        "MQTT-3.1.2-8"
    ),
    case!(a_delayed_will_waits_for_its_delay, "MQTT-3.1.2-8"),
    case!(a_delayed_will_does_not_outlive_the_session, "MQTT-3.1.2-8"),
    case!(a_will_without_its_fields_is_malformed, "MQTT-3.1.2-9"),
    case!(a_will_is_published_once, "MQTT-3.1.2-10"),
    case!(
        a_normal_disconnect_takes_the_will_away,
        "MQTT-3.1.2-8",
        "MQTT-3.1.2-10",
        "MQTT-3.14.4-3"
    ),
    case!(
        will_bits_without_the_will_flag_are_malformed,
        "MQTT-3.1.2-11",
        "MQTT-3.1.2-13"
    ),
    case!(will_qos_3_is_malformed, "MQTT-3.1.2-12"),
    case!(a_will_without_retain_is_not_kept, "MQTT-3.1.2-14"),
    case!(a_will_with_retain_is_kept, "MQTT-3.1.2-15"),
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

async fn a_will_is_published_after_a_protocol_error(stage: Stage) -> Result<()> {
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

async fn a_will_is_published_at_a_takeover_that_ends_the_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    // The session ends with the clean start, so that no delay is waited for.
    let options = stage.lasting("client").will(&topic, b"gone", 1, false);
    let delayed = options.will_property(0x18, vec![0, 0, 1, 0]);
    let _old = stage.connected(&delayed).await?;
    let _new = stage.client("client").await?;
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    Ok(())
}

async fn a_will_is_published_after_disconnect_with_will(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    for reason in [0x04, 0x80] {
        stage.connected(&options).await?.disconnect(reason).await?;
        let will = subscriber.take(&topic).await?;
        ensure!(will.payload == "gone", "{will:?} after {reason:#04x}");
    }
    Ok(())
}

async fn a_delayed_will_waits_for_its_delay(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let options = stage.lasting("client").will(&topic, b"gone", 1, false);
    let delayed = options.will_property(0x18, vec![0, 0, 0, 2]);
    let begin = std::time::Instant::now();
    stage.connected(&delayed).await?.disconnect(4).await?;
    // It is not published at once: something else overtakes it.
    publisher.publish_done(&topic, "first", 1, false).await?;
    let first = subscriber.take(&topic).await?;
    ensure!(first.payload == "first", "{first:?}");
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    // Brokers count whole seconds.
    let waited = begin.elapsed();
    ensure!(waited.as_millis() >= 900, "after {waited:?}");
    Ok(())
}

async fn a_delayed_will_does_not_outlive_the_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    // No session is kept, or one for a second; either ends long before the delay.
    for (name, expiry) in [("none", 0), ("short", 1)] {
        let options = stage.options(name).will(&topic, b"gone", 1, false);
        let options = options.property(0x11, vec![0, 0, 0, expiry]);
        let delayed = options.will_property(0x18, vec![0, 0, 1, 0]);
        drop(stage.connected(&delayed).await?);
        let will = subscriber.take(&topic).await?;
        ensure!(will.payload == "gone", "{will:?}");
    }
    Ok(())
}

async fn a_will_without_its_fields_is_malformed(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let payloads = [
        ("nothing", vec![]),
        ("no topic and message", vec![0]),
        ("no message", [&[0], &*wire::counted(b"topic")].concat()),
        (
            "no properties",
            [wire::counted(b"topic"), wire::counted(b"message")].concat(),
        ),
    ];
    for (what, will) in payloads {
        let mut client = stage.open().await?;
        let connect = wire::connect(0x06, &[], &[&*id, &will].concat());
        client.send_packet(0x10, &connect).await?;
        refused(&mut client, None).await.context(what)?;
    }
    Ok(())
}

async fn a_will_is_published_once(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let options = stage.lasting("client");
    let will = options.clone().will(&topic, b"gone", 1, false);
    drop(stage.connected(&will).await?);
    subscriber.take(&topic).await?;
    // The same session without a will, lost as well; the next connection proves that it is.
    drop(stage.connected(&options).await?);
    stage.connected(&options).await?.disconnect(0).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_normal_disconnect_takes_the_will_away(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for retain in [false, true] {
        let options = stage.options("client").will(&topic, b"gone", 1, retain);
        stage.connected(&options).await?.disconnect(0).await?;
        // Nor is it when the client is back and gone again.
        stage.client("client").await?.disconnect(0).await?;
    }
    // A DISCONNECT without a reason is one with 0x00.
    let options = stage.options("client").will(&topic, b"gone", 1, false);
    let mut client = stage.connected(&options).await?;
    client.send_packet(0xe0, &[]).await?;
    client.closed().await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn will_bits_without_the_will_flag_are_malformed(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    for (what, flags) in [("QoS 1", 0x0a), ("QoS 2", 0x12), ("retain", 0x22)] {
        let mut client = stage.open().await?;
        client
            .send_packet(0x10, &wire::connect(flags, &[], &id))
            .await?;
        refused(&mut client, None).await.context(what)?;
    }
    Ok(())
}

async fn will_qos_3_is_malformed(stage: Stage) -> Result<()> {
    let id = wire::counted(stage.client_id("client").as_bytes());
    let will = wire::will(&[], b"topic", b"message");
    let mut client = stage.open().await?;
    let connect = wire::connect(0x1e, &[], &[id, will].concat());
    client.send_packet(0x10, &connect).await?;
    refused(&mut client, None).await
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
