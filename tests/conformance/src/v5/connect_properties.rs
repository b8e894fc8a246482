//! The properties of CONNECT: section 3.1.2.11.

use anyhow::{Context, Result, ensure};

use super::bare::{Bare, Raw};
use super::wire;
use crate::case::case;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.11 Properties of CONNECT",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.2-23",
        "The session is kept after the connection if its expiry interval is above 0.",
    ),
    server(
        "MQTT-3.1.2-24",
        "The server sends nothing larger than the client's Maximum Packet Size.",
    ),
    server(
        "MQTT-3.1.2-25",
        "A message that is too large for the client is discarded as if it had been sent.",
    ),
    server(
        "MQTT-3.1.2-26",
        "The server sends no topic alias above the client's Topic Alias Maximum.",
    ),
    server(
        "MQTT-3.1.2-27",
        "Without a Topic Alias Maximum, or with 0, the server sends no topic aliases.",
    ),
    server(
        "MQTT-3.1.2-28",
        "With Request Response Information 0, no Response Information is returned.",
    ),
    server(
        "MQTT-3.1.2-29",
        "With Request Problem Information 0, only PUBLISH, CONNACK and DISCONNECT may have a reason string or user properties.",
    ),
    client(
        "MQTT-3.1.2-30",
        "A client with an authentication method sends only AUTH and DISCONNECT before its CONNACK.",
    ),
];

const CASES: &[Case] = &[
    case!(a_session_is_kept_for_its_expiry_interval, "MQTT-3.1.2-23"),
    case!(
        no_message_exceeds_the_clients_maximum,
        "MQTT-3.1.2-24",
        "MQTT-3.1.2-25"
    ),
    case!(
        a_message_too_large_takes_no_part_of_the_window,
        "MQTT-3.1.2-25"
    ),
    case!(
        aliases_stay_within_the_clients_maximum,
        "MQTT-3.1.2-26",
        "MQTT-3.3.2-8",
        "MQTT-3.3.2-11"
    ),
    case!(without_a_maximum_there_are_no_aliases, "MQTT-3.1.2-27"),
    case!(response_information_is_not_told_unasked, "MQTT-3.1.2-28"),
    case!(problem_information_is_not_told_unasked, "MQTT-3.1.2-29"),
];

async fn a_session_is_kept_for_its_expiry_interval(stage: Stage) -> Result<()> {
    // Lost and ended connections alike.
    for ends in [false, true] {
        let options = stage.lasting("client");
        let client = stage.connected(&options).await?;
        if ends {
            client.disconnect(0).await?;
        } else {
            drop(client);
        }
        let (client, connack) = stage.answered(&options).await?;
        ensure!(connack.session_present, "{connack:?}");
        client.disconnect(0).await?;
        stage.client("client").await?.disconnect(0).await?;
    }
    Ok(())
}

/// At QoS 1 with a topic of this many bytes, a PUBLISH has this many beside the payload.
fn overhead(topic: &str) -> usize {
    topic.len() + 2 + 2 + 1 + 3
}

async fn no_message_exceeds_the_clients_maximum(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.options("subscriber");
    let limited = options.property(0x27, vec![0, 0, 1, 0]);
    let mut subscriber = stage.connected(&limited).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let room = 256 - overhead(&topic);
    for qos in 0..=2 {
        // What has no identifier may be two bytes longer.
        let room = if qos == 0 { room + 2 } else { room };
        for size in [room + 1, room, room + 500, room - 1] {
            publisher
                .publish_done(&topic, vec![b'x'; size], qos, false)
                .await?;
            if size <= room {
                let message = subscriber.take(&topic).await?;
                let came = message.payload.len();
                ensure!(came == size, "QoS {qos}: {came} bytes, not {size}");
            }
        }
    }
    // One that fits without its properties only.
    let pair = wire::counted(&[b'x'; 100]);
    let pair = [&*pair, &pair].concat();
    let payload = vec![b'x'; room / 2];
    publisher
        .send_publish(9, &topic, &payload, 1, false, false, &[(0x26, pair.into())])
        .await?;
    publisher.acked(4, 9).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_message_too_large_takes_no_part_of_the_window(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.options("subscriber").property(0x21, vec![0, 1]);
    let limited = options.property(0x27, vec![0, 0, 1, 0]);
    let mut subscriber = stage.connected(&limited).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        for _ in 0..3 {
            let large = vec![b'x'; 300];
            publisher.publish_done(&topic, large, qos, false).await?;
        }
        publisher.publish_done(&topic, "small", qos, false).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload == "small", "{message:?}");
    }
    Ok(())
}

async fn aliases_stay_within_the_clients_maximum(stage: Stage) -> Result<()> {
    let filter = stage.topic("a/+");
    for most in [1, 3_u8] {
        let options = stage.options("subscriber");
        let options = options.property(0x22, vec![0, most]);
        let mut subscriber = stage.connected(&options).await?;
        subscriber.subscribe(&[(&filter, 1)]).await?;
        let mut publisher = stage.client("publisher").await?;
        for round in 0..3 {
            for number in 0..6 {
                let topic = stage.topic(&format!("a/{number}"));
                publisher
                    .publish_done(&topic, "message", round, false)
                    .await?;
                let message = subscriber
                    .wait_for("a message", |packet| match packet {
                        partyline_testkit::Packet::Publish(message) => Some(message.clone()),
                        _ => None,
                    })
                    .await?;
                subscriber.acknowledge(&message).await?;
                let Some(alias) = message.properties.get(0x23) else {
                    ensure!(message.topic == topic, "{message:?}");
                    continue;
                };
                let alias = u16::from_be_bytes(alias[..].try_into()?);
                let right = (1..=u16::from(most)).contains(&alias);
                ensure!(right, "alias {alias} of {most}");
            }
        }
    }
    Ok(())
}

async fn without_a_maximum_there_are_no_aliases(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.options("subscriber");
    for options in [options.clone(), options.property(0x22, vec![0, 0])] {
        let mut subscriber = stage.connected(&options).await?;
        subscriber.subscribe(&[(&topic, 1)]).await?;
        let mut publisher = stage.client("publisher").await?;
        for _ in 0..5 {
            publisher.publish_done(&topic, "message", 1, false).await?;
            let message = subscriber.take(&topic).await?;
            let alias = message.properties.get(0x23);
            ensure!(alias.is_none(), "{message:?}");
        }
    }
    Ok(())
}

async fn response_information_is_not_told_unasked(stage: Stage) -> Result<()> {
    let options = stage.options("client");
    for options in [options.clone(), options.property(0x19, vec![0])] {
        let (_client, connack) = stage.answered(&options).await?;
        let told = connack.properties.get(0x1a);
        ensure!(connack.code == 0 && told.is_none(), "{connack:?}");
    }
    Ok(())
}

async fn problem_information_is_not_told_unasked(stage: Stage) -> Result<()> {
    let (mut bare, _) = Bare::connected(&stage, "client", &[0x17, 0]).await?;
    let answers = provoke(&mut bare).await?;
    for answer in answers {
        let properties = answer.properties()?;
        let telling = properties.iter().any(|id| matches!(id, 0x1f | 0x26));
        let may = matches!(answer.kind(), 2 | 3 | 14);
        ensure!(may || !telling, "{answer:02x?}");
    }
    Ok(())
}

/// Asks for much that a broker may refuse, and returns its answers: at least one acknowledgement of
/// each kind but AUTH.
pub(super) async fn provoke(bare: &mut Bare) -> Result<Vec<Raw>> {
    // A broker that quotes the topic has much to say of the last.
    let long = format!("$conformance/{}", "x".repeat(200));
    let refusable: [&[u8]; 4] = [
        b"$conformance/topic",
        b"$SYS/conformance",
        b"$share/g/topic",
        long.as_bytes(),
    ];
    let mut answers = Vec::new();
    for (id, topic) in (1..).zip(refusable) {
        bare.send(0x82, &wire::subscribe(id, &[], &[(topic, 2), (b"a", 1)]))
            .await?;
        bare.send(0xa2, &wire::unsubscribe(id, &[], &[topic, b"b"]))
            .await?;
        bare.send(0x32, &wire::publish(topic, id, &[], b"message"))
            .await?;
        bare.send(0x34, &wire::publish(topic, 10 + id, &[], b"message"))
            .await?;
        bare.send(0x62, &(10 + id).to_be_bytes()).await?;
    }
    // Of a message that never was.
    bare.send(0x62, &[0, 99]).await?;
    bare.send(0x50, &[0, 99]).await?;
    answers.extend(bare.until_pong().await?);
    for kind in [4, 5, 6, 7, 9, 11] {
        let any = answers.iter().any(|answer| answer.kind() == kind);
        ensure!(any, "no packet of type {kind} in {answers:02x?}");
    }
    // At the end, a packet that ends the connection.
    bare.send(0x00, &[]).await?;
    let end = bare.until_closed().await.context("the end")?;
    answers.extend(end);
    Ok(answers)
}
