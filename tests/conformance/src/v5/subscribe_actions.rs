//! What follows a SUBSCRIBE, and SUBACK: sections 3.8.4 and 3.9.

use anyhow::{Result, ensure};
use partyline_testkit::Packet;

use super::bare::Bare;
use super::connect_properties::provoke;
use super::wire;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.8.4 Actions of SUBSCRIBE, and SUBACK",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.8.4-1", "A SUBACK answers a SUBSCRIBE."),
    server(
        "MQTT-3.8.4-2",
        "The SUBACK has the packet identifier of the SUBSCRIBE.",
    ),
    server(
        "MQTT-3.8.4-3",
        "A subscription replaces the session's subscription with the same filter.",
    ),
    server(
        "MQTT-3.8.4-4",
        "With Retain Handling 0, retained messages are then sent again, and none is lost by the replacement.",
    ),
    server(
        "MQTT-3.8.4-5",
        "Several filters are as several SUBSCRIBE packets in sequence, but for one SUBACK.",
    ),
    server("MQTT-3.8.4-6", "The SUBACK has a reason for each filter."),
    server(
        "MQTT-3.8.4-7",
        "The reason tells the QoS that was granted, or a failure.",
    ),
    server(
        "MQTT-3.8.4-8",
        "A message comes with the lesser of its own QoS and the one granted.",
    ),
    server(
        "MQTT-3.9.2-1",
        "No Reason String makes the SUBACK larger than the client's maximum.",
    ),
    server(
        "MQTT-3.9.2-2",
        "No User Property makes the SUBACK larger than the client's maximum.",
    ),
    server(
        "MQTT-3.9.3-1",
        "The reasons of a SUBACK are in the order of the filters.",
    ),
    server("MQTT-3.9.3-2", "Each reason of a SUBACK is a listed one."),
];

const CASES: &[Case] = &[
    case!(
        a_suback_answers_with_its_identifier,
        "MQTT-3.8.4-1",
        "MQTT-3.8.4-2"
    ),
    case!(an_equal_filter_replaces_the_subscription, "MQTT-3.8.4-3"),
    case!(nothing_is_lost_by_a_replacement, "MQTT-3.8.4-4"),
    case!(
        filters_of_a_subscribe_are_taken_in_sequence,
        "MQTT-3.8.4-5",
        "MQTT-3.8.4-6",
        "MQTT-3.9.3-1"
    ),
    case!(the_granted_qos_is_told, "MQTT-3.8.4-7"),
    case!(a_message_comes_with_the_lesser_qos, "MQTT-3.8.4-8"),
    case!(
        a_suback_fits_the_clients_maximum,
        "MQTT-3.9.2-1",
        "MQTT-3.9.2-2"
    ),
    case!(the_reasons_of_a_suback_are_listed, "MQTT-3.9.3-2"),
];

async fn a_suback_answers_with_its_identifier(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let mut client = stage.client("client").await?;
    // Again and again, new or not.
    for id in [0xffff, 1, 1, 2, 0x100] {
        let body = wire::subscribe(id, &[], &[(topic, 1)]);
        client.send_packet(0x82, &body).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::SubAck(id, vec![1]), "{answer:?}");
    }
    Ok(())
}

async fn an_equal_filter_replaces_the_subscription(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let filter = stage.topic("a/+");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.client("subscriber").await?;
    for qos in [2, 0, 1] {
        subscriber.subscribe(&[(&filter, qos)]).await?;
        publisher.publish_done(&topic, "message", 2, false).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.qos == qos, "{message:?}");
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    // There is one to take away.
    subscriber.unsubscribe(&[&filter]).await?;
    publisher.publish_done(&topic, "message", 2, false).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn nothing_is_lost_by_a_replacement(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, true).await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    subscriber.take(&topic).await?;
    // Both run at once, and their packets meet in any order.
    let publishing = async {
        for number in 0..40_u8 {
            publisher.publish_done(&topic, [number], 1, false).await?;
        }
        anyhow::Ok(())
    };
    let replacing = async {
        let mut next = 0;
        let mut retained = 0;
        for _ in 0..8 {
            subscriber.subscribe(&[(&topic, 1)]).await?;
            for _ in 0..6 {
                let message = subscriber.take(&topic).await?;
                if message.retain {
                    retained += 1;
                } else {
                    ensure!(message.payload == [next][..], "{message:?}, not {next}");
                    next += 1;
                }
            }
        }
        ensure!(retained <= 8, "{retained} retained messages");
        while next < 40 || retained < 8 {
            let message = subscriber.take(&topic).await?;
            if message.retain {
                retained += 1;
            } else {
                ensure!(message.payload == [next][..], "{message:?}, not {next}");
                next += 1;
            }
        }
        anyhow::Ok(())
    };
    let (published, replaced) = tokio::join!(publishing, replacing);
    published?;
    replaced?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn filters_of_a_subscribe_are_taken_in_sequence(stage: Stage) -> Result<()> {
    let topics = ["a", "b", "c"].map(|name| stage.topic(name));
    let [a, b, c] = topics.each_ref().map(String::as_bytes);
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.client("subscriber").await?;
    // The last of two equal ones holds.
    let filters = [(a, 0), (b, 2), (c, 1), (a, 2), (b, 0)];
    let body = wire::subscribe(7, &[], &filters);
    subscriber.send_packet(0x82, &body).await?;
    let answer = subscriber.next().await?;
    ensure!(
        answer == Packet::SubAck(7, vec![0, 2, 1, 2, 0]),
        "{answer:?}"
    );
    for (topic, qos) in topics.iter().zip([2, 0, 1]) {
        publisher.publish_done(topic, "message", 2, false).await?;
        let message = subscriber.take(topic).await?;
        ensure!(message.qos == qos, "{message:?}");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn the_granted_qos_is_told(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let mut client = stage.client("client").await?;
    for qos in 0..=2 {
        let topic = stage.topic(&format!("qos{qos}"));
        let codes = client.subscribe(&[(&topic, qos)]).await?;
        let [granted] = codes[..] else {
            anyhow::bail!("{codes:02x?}")
        };
        publisher.publish_done(&topic, "message", 2, false).await?;
        if granted < 0x80 {
            ensure!(granted <= qos, "granted {granted} of {qos}");
            let message = client.take(&topic).await?;
            ensure!(message.qos == granted, "{message:?}, granted {granted}");
        }
    }
    // What failed is not there.
    let refusable = ["$conformance/topic", "a/#/b", "a+"];
    for filter in refusable {
        let mut client = stage.client("other").await?;
        let body = wire::subscribe(1, &[], &[(filter.as_bytes(), 1)]);
        client.send_packet(0x82, &body).await?;
        match client.next().await? {
            Packet::SubAck(1, codes) => {
                ensure!(matches!(codes[..], [0..=1 | 0x80..]), "{codes:02x?}");
            }
            Packet::Disconnect(..) | Packet::Closed => {}
            other => anyhow::bail!("{filter}: {other:?}"),
        }
    }
    Ok(())
}

async fn a_message_comes_with_the_lesser_qos(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    for granted in 0..=2 {
        let topic = stage.topic(&format!("granted{granted}"));
        let name = format!("subscriber{granted}");
        let mut subscriber = stage.subscriber(&name, &[(&topic, granted)]).await?;
        for qos in 0..=2 {
            let lesser = granted.min(qos);
            publisher.publish_done(&topic, "message", qos, true).await?;
            let message = subscriber.take(&topic).await?;
            ensure!(message.qos == lesser, "{message:?}, not {lesser}");
            // Retained messages no less.
            let mut late = stage.subscriber("late", &[(&topic, granted)]).await?;
            let kept = late.take(&topic).await?;
            ensure!(kept.qos == lesser, "{kept:?}, not {lesser}");
        }
    }
    Ok(())
}

async fn a_suback_fits_the_clients_maximum(stage: Stage) -> Result<()> {
    for maximum in [64, 72, 90] {
        let limit = [0x27, 0, 0, 0, maximum];
        let (mut bare, _) = Bare::connected(&stage, "client", &limit).await?;
        for answer in provoke(&mut bare).await? {
            let fits = answer.kind() != 9 || answer.size <= usize::from(maximum);
            ensure!(fits, "{} bytes: {answer:02x?}", answer.size);
        }
    }
    Ok(())
}

async fn the_reasons_of_a_suback_are_listed(stage: Stage) -> Result<()> {
    let listed = [
        0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
    ];
    let (mut bare, _) = Bare::connected(&stage, "client", &[]).await?;
    for answer in provoke(&mut bare).await? {
        if answer.kind() == 9 {
            // Two filters, and after their reasons comes nothing.
            let reasons = answer.body.get(answer.body.len() - 2..).unwrap_or_default();
            let right = reasons.iter().all(|reason| listed.contains(reason));
            ensure!(right && reasons.len() == 2, "{answer:02x?}");
        }
    }
    Ok(())
}
