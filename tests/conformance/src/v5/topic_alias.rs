//! Topic aliases: section 3.3.2.3.4.

use anyhow::{Context, Result, ensure};
use partyline_testkit::{ConnAck, Property};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, NotOffered, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.2.3.4 Topic Alias",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.3.2-7",
        "A receiver forgets the aliases of a connection with it.",
    ),
    server("MQTT-3.3.2-8", "No topic alias is 0."),
    client(
        "MQTT-3.3.2-9",
        "A client sends no topic alias above the server's maximum.",
    ),
    client(
        "MQTT-3.3.2-10",
        "A client accepts every topic alias up to the maximum that it sent.",
    ),
    server(
        "MQTT-3.3.2-11",
        "A server sends no topic alias above the client's maximum.",
    ),
    server(
        "MQTT-3.3.2-12",
        "A server accepts every topic alias up to the maximum that it sent.",
    ),
];

const CASES: &[Case] = &[
    case!(aliases_end_with_their_connection, "MQTT-3.3.2-7"),
    case!(
        an_alias_that_is_not_allowed_ends_the_connection,
        "MQTT-3.3.2-8"
    ),
    case!(every_alias_is_accepted, "MQTT-3.3.2-12"),
    case!(an_alias_can_be_given_anew, "MQTT-3.3.2-12"),
];

fn maximum(connack: &ConnAck) -> Result<u16> {
    match connack.properties.get(0x22).map(|value| &value[..]) {
        None | Some([0, 0]) => Err(NotOffered("topic alias").into()),
        Some(value) => Ok(u16::from_be_bytes(value.try_into()?)),
    }
}

fn alias(number: u16) -> [Property; 1] {
    [(0x23, number.to_be_bytes().to_vec().into())]
}

async fn aliases_end_with_their_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    // Of a session that is resumed, too.
    let options = stage.lasting("client");
    let (mut client, connack) = stage.answered(&options).await?;
    maximum(&connack)?;
    for topic in [&topic, ""] {
        client
            .send_publish(1, topic, b"message", 1, false, false, &alias(1))
            .await?;
        client.acked(4, 1).await?;
        subscriber.take(&stage.topic("topic")).await?;
    }
    client.disconnect(0).await?;
    let mut client = stage.connected(&options).await?;
    client
        .send_publish(1, "", b"message", 1, false, false, &alias(1))
        .await?;
    cut(&mut client).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn an_alias_that_is_not_allowed_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let (client, connack) = stage.answered(&stage.options("client")).await?;
    client.disconnect(0).await?;
    let above = match maximum(&connack) {
        Ok(maximum) => maximum.checked_add(1),
        Err(_) => Some(1),
    };
    for number in [Some(0), above].into_iter().flatten() {
        let mut client = stage.client("client").await?;
        client
            .send_publish(1, &topic, b"message", 1, false, false, &alias(number))
            .await?;
        cut(&mut client)
            .await
            .with_context(|| format!("alias {number}"))?;
    }
    // One that stands for nothing, and two at once.
    let twice = [0x23, 0, 1, 0x23, 0, 1];
    for (topic, properties) in [("", &twice[..3]), (&topic, &twice)] {
        let mut client = stage.client("client").await?;
        let publish = wire::publish(topic.as_bytes(), 1, properties, b"message");
        client.send_packet(0x32, &publish).await?;
        cut(&mut client).await?;
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn every_alias_is_accepted(stage: Stage) -> Result<()> {
    let filter = stage.topic("a/+");
    let mut subscriber = stage.subscriber("subscriber", &[(&filter, 1)]).await?;
    let (mut client, connack) = stage.answered(&stage.options("client")).await?;
    let maximum = maximum(&connack)?;
    // All, if they are not too many; the highest in any case.
    let mut numbers: Vec<u16> = (1..=maximum.min(100)).collect();
    numbers.push(maximum);
    for by_alias in [false, true] {
        for number in &numbers {
            let topic = stage.topic(&format!("a/{number}"));
            let sent = if by_alias { "" } else { &topic };
            client
                .send_publish(1, sent, b"message", 1, false, false, &alias(*number))
                .await?;
            client.acked(4, 1).await?;
            let message = subscriber.take(&topic).await?;
            let passed_on = message.properties.get(0x23);
            ensure!(passed_on.is_none(), "{message:?}");
        }
    }
    Ok(())
}

async fn an_alias_can_be_given_anew(stage: Stage) -> Result<()> {
    let (one, two) = (stage.topic("a/one"), stage.topic("a/two"));
    let filters = [(&*one, 2), (&*two, 2)];
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let (mut client, connack) = stage.answered(&stage.options("client")).await?;
    maximum(&connack)?;
    let steps = [(&*one, &one), ("", &one), (&two, &two), ("", &two)];
    for (sent, meant) in steps {
        client
            .send_publish(0, sent, b"message", 0, false, false, &alias(1))
            .await?;
        subscriber.take(meant).await?;
    }
    Ok(())
}
