//! PUBACK, PUBREC, PUBREL and PUBCOMP: sections 3.4 to 3.7.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::bare::{Bare, Raw};
use super::connect_properties::provoke;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.4 PUBACK, PUBREC, PUBREL, PUBCOMP",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.4.2-1", "The reason of a PUBACK is a listed one."),
    server(
        "MQTT-3.4.2-2",
        "No Reason String makes a PUBACK larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.4.2-3",
        "No User Property makes a PUBACK larger than the receiver's maximum.",
    ),
    server("MQTT-3.5.2-1", "The reason of a PUBREC is a listed one."),
    server(
        "MQTT-3.5.2-2",
        "No Reason String makes a PUBREC larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.5.2-3",
        "No User Property makes a PUBREC larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.6.1-1",
        "The flags of PUBREL are 0010; others end the connection.",
    ),
    server("MQTT-3.6.2-1", "The reason of a PUBREL is a listed one."),
    server(
        "MQTT-3.6.2-2",
        "No Reason String makes a PUBREL larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.6.2-3",
        "No User Property makes a PUBREL larger than the receiver's maximum.",
    ),
    server("MQTT-3.7.2-1", "The reason of a PUBCOMP is a listed one."),
    server(
        "MQTT-3.7.2-2",
        "No Reason String makes a PUBCOMP larger than the receiver's maximum.",
    ),
    server(
        "MQTT-3.7.2-3",
        "No User Property makes a PUBCOMP larger than the receiver's maximum.",
    ),
];

const CASES: &[Case] = &[
    case!(
        acknowledgements_have_listed_reasons,
        "MQTT-3.4.2-1",
        "MQTT-3.5.2-1",
        "MQTT-3.6.2-1",
        "MQTT-3.7.2-1"
    ),
    case!(
        acknowledgements_fit_the_clients_maximum,
        "MQTT-3.4.2-2",
        "MQTT-3.4.2-3",
        "MQTT-3.5.2-2",
        "MQTT-3.5.2-3",
        "MQTT-3.6.2-2",
        "MQTT-3.6.2-3",
        "MQTT-3.7.2-2",
        "MQTT-3.7.2-3"
    ),
    case!(pubrel_flags_are_0010, "MQTT-3.6.1-1"),
    case!(
        every_form_of_an_acknowledgement_is_understood,
        "MQTT-3.4.2-1",
        "MQTT-3.5.2-1",
        "MQTT-3.7.2-1"
    ),
];

const OF_A_MESSAGE: [u8; 9] = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const OF_A_RELEASE: [u8; 2] = [0x00, 0x92];

fn listed(answer: &Raw) -> bool {
    let reason = answer.body.get(2).copied().unwrap_or_default();
    match answer.kind() {
        4 | 5 => OF_A_MESSAGE.contains(&reason),
        6 | 7 => OF_A_RELEASE.contains(&reason),
        _ => true,
    }
}

async fn acknowledgements_have_listed_reasons(stage: Stage) -> Result<()> {
    let (mut bare, _) = Bare::connected(&stage, "client", &[]).await?;
    for answer in provoke(&mut bare).await? {
        ensure!(listed(&answer), "{answer:02x?}");
    }
    Ok(())
}

async fn acknowledgements_fit_the_clients_maximum(stage: Stage) -> Result<()> {
    let mut seen = false;
    for maximum in [64, 72, 90] {
        let limit = [0x27, 0, 0, 0, maximum];
        let (mut bare, _) = Bare::connected(&stage, "client", &limit).await?;
        for answer in provoke(&mut bare).await? {
            let size = answer.size;
            ensure!(size <= usize::from(maximum), "{size} bytes: {answer:02x?}");
            seen = true;
        }
    }
    ensure!(seen, "no answers");
    Ok(())
}

async fn pubrel_flags_are_0010(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for flags in (0..16).filter(|flags| *flags != 2) {
        let mut client = stage.client("client").await?;
        client
            .send_publish(1, &topic, b"message", 2, false, false, &[])
            .await?;
        client.acked(5, 1).await?;
        client.send_packet(0x60 | flags, &[0, 1]).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("flags {flags:#x}"))?;
    }
    Ok(())
}

/// Without a reason, without properties, with none and with some.
async fn every_form_of_an_acknowledgement_is_understood(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let options = stage.options("subscriber").property(0x21, vec![0, 1]);
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let telling = [
        wire::text(0x1f, b"all is well"),
        wire::user(b"name", b"value"),
        wire::user(b"name", b"value"),
    ]
    .concat();
    let forms = [
        vec![],
        vec![0],
        vec![0, 0],
        [&[0], &*wire::section(&telling)].concat(),
    ];
    // With a window of one, the next message shows that this one is acknowledged.
    for form in &forms {
        for qos in [1, 2] {
            publisher
                .publish_done(&topic, "message", qos, false)
                .await?;
            let message = subscriber.publish_on(&topic).await?;
            let id = message.id.to_be_bytes();
            let body = [&id, &**form].concat();
            if qos == 1 {
                subscriber.send_packet(0x40, &body).await?;
                continue;
            }
            subscriber.send_packet(0x50, &body).await?;
            let release = subscriber.next().await?;
            ensure!(release == Packet::Ack(6, message.id, 0), "{release:?}");
            subscriber.send_packet(0x70, &body).await?;
        }
    }
    for form in &forms {
        publisher
            .send_publish(300, &topic, b"message", 2, false, false, &[])
            .await?;
        publisher.acked(5, 300).await?;
        let body = [&300_u16.to_be_bytes(), &**form].concat();
        publisher.send_packet(0x62, &body).await?;
        let reason = publisher.acked(7, 300).await?;
        ensure!(reason == 0, "PUBCOMP {reason:#04x}");
        subscriber.take(&topic).await?;
    }
    Ok(())
}
