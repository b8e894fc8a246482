//! What a PUBLISH carries for its receivers: sections 3.3.2.3.5 to 3.3.2.3.9.

use anyhow::{Context, Result, ensure};
use partyline_testkit::{Property, Publish};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.2.3.5 Properties of PUBLISH",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.3.2-13", "The response topic is a UTF-8 string."),
    server("MQTT-3.3.2-14", "The response topic has no wildcards."),
    server(
        "MQTT-3.3.2-15",
        "The response topic is passed on unaltered.",
    ),
    server(
        "MQTT-3.3.2-16",
        "The correlation data are passed on unaltered.",
    ),
    server(
        "MQTT-3.3.2-17",
        "All user properties are passed on unaltered.",
    ),
    server("MQTT-3.3.2-18", "The user properties keep their order."),
    server("MQTT-3.3.2-19", "The content type is a UTF-8 string."),
    server("MQTT-3.3.2-20", "The content type is passed on unaltered."),
];

const CASES: &[Case] = &[
    case!(
        properties_of_a_message_are_strings,
        "MQTT-3.3.2-13",
        "MQTT-3.3.2-19"
    ),
    case!(
        a_response_topic_with_wildcards_ends_the_connection,
        "MQTT-3.3.2-14"
    ),
    case!(
        properties_are_passed_on_as_they_came,
        "MQTT-3.3.2-15",
        "MQTT-3.3.2-16",
        "MQTT-3.3.2-17",
        "MQTT-3.3.2-18",
        "MQTT-3.3.2-20"
    ),
    case!(
        properties_are_kept_with_waiting_messages,
        "MQTT-3.3.2-15",
        "MQTT-3.3.2-16",
        "MQTT-3.3.2-17",
        "MQTT-3.3.2-18",
        "MQTT-3.3.2-20"
    ),
];

async fn ends_the_connection(stage: &Stage, properties: &[u8]) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    let publish = wire::publish(topic.as_bytes(), 1, properties, b"message");
    client.send_packet(0x32, &publish).await?;
    cut(&mut client)
        .await
        .with_context(|| format!("{properties:02x?}"))
}

async fn properties_of_a_message_are_strings(stage: Stage) -> Result<()> {
    for id in [0x03, 0x08] {
        for text in [&b"a\xff"[..], b"\xed\xa0\x80", b"a\0b"] {
            ends_the_connection(&stage, &wire::text(id, text)).await?;
        }
        let once = wire::text(id, b"once");
        ends_the_connection(&stage, &[&*once, &once].concat()).await?;
        ends_the_connection(&stage, &[id, 0, 9, b'a']).await?;
    }
    Ok(())
}

async fn a_response_topic_with_wildcards_ends_the_connection(stage: Stage) -> Result<()> {
    for topic in ["#", "+", "a/#", "a/+/b", "a+"] {
        ends_the_connection(&stage, &wire::text(0x08, topic.as_bytes())).await?;
    }
    Ok(())
}

fn properties() -> Vec<Property> {
    let text = |id: u8, value: &[u8]| (id, wire::counted(value).into());
    let user = |name: &[u8], value: &[u8]| (0x26, wire::pair(name, value).into());
    vec![
        user(b"z", b"1"),
        text(0x03, "text/plain; \u{e4}\u{1f600}".as_bytes()),
        user(b"a", b"2"),
        user(b"z", b"0"),
        text(0x08, b"reply/to /me//"),
        user(b"", b""),
        text(0x09, b"\x00\xff binary \xc3\x28"),
        user(b"a", b"2"),
        user("\u{feff}".as_bytes(), &[b'x'; 300]),
    ]
}

/// The order of different properties means nothing; that of user properties does.
fn same(message: &Publish) -> Result<()> {
    let sorted = |mut properties: Vec<Property>| {
        properties.sort_by_key(|(id, _)| *id);
        properties
    };
    let came = sorted(message.properties.0.clone());
    let sent = sorted(properties());
    ensure!(came == sent, "{came:?}, not {sent:?}");
    Ok(())
}

async fn properties_are_passed_on_as_they_came(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut subscribers = Vec::new();
    for qos in 0..=2 {
        let name = format!("subscriber{qos}");
        subscribers.push(stage.subscriber(&name, &[(&topic, qos)]).await?);
    }
    for (id, qos) in [(0, 0), (1, 1), (2, 2)] {
        publisher
            .send_publish(id, &topic, b"message", qos, false, false, &properties())
            .await?;
        if qos == 2 {
            publisher.acked(5, id).await?;
            publisher.ack(6, id).await?;
        }
        for subscriber in &mut subscribers {
            same(&subscriber.take(&topic).await?)?;
        }
    }
    Ok(())
}

/// For an absent client, retained, and as a will.
async fn properties_are_kept_with_waiting_messages(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 1)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher
        .send_publish(1, &topic, b"message", 1, true, false, &properties())
        .await?;
    publisher.acked(4, 1).await?;
    let mut subscriber = stage.connected(&options).await?;
    same(&subscriber.take(&topic).await?)?;
    let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
    same(&late.take(&topic).await?)?;
    let mut will = stage.options("client").will(&topic, b"will", 1, false);
    will.will_properties = properties();
    drop(stage.connected(&will).await?);
    same(&subscriber.take(&topic).await?)?;
    same(&late.take(&topic).await?)
}
