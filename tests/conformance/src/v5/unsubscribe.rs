//! UNSUBSCRIBE and UNSUBACK: sections 3.10 and 3.11.

use anyhow::{Context, Result, bail, ensure};
use partyline_testkit::Packet;

use super::bare::Bare;
use super::connect_properties::provoke;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.10 UNSUBSCRIBE and UNSUBACK",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.10.1-1",
        "The flags of UNSUBSCRIBE are 0010; others end the connection.",
    ),
    server("MQTT-3.10.3-1", "Its topic filters are UTF-8 strings."),
    server("MQTT-3.10.3-2", "It has at least one topic filter."),
    server(
        "MQTT-3.10.4-1",
        "Filters are compared character by character; the subscription that is equal is deleted.",
    ),
    server(
        "MQTT-3.10.4-2",
        "No new messages are then added for the client.",
    ),
    server(
        "MQTT-3.10.4-3",
        "Messages above QoS 0 that are under way are completed.",
    ),
    server("MQTT-3.10.4-4", "An UNSUBACK answers an UNSUBSCRIBE."),
    server(
        "MQTT-3.10.4-5",
        "The UNSUBACK has the packet identifier of the UNSUBSCRIBE, and comes even if nothing was deleted.",
    ),
    server(
        "MQTT-3.10.4-6",
        "Several filters are as several UNSUBSCRIBE packets in sequence, but for one UNSUBACK.",
    ),
    server(
        "MQTT-3.11.2-1",
        "No Reason String makes the UNSUBACK larger than the client's maximum.",
    ),
    server(
        "MQTT-3.11.2-2",
        "No User Property makes the UNSUBACK larger than the client's maximum.",
    ),
    server(
        "MQTT-3.11.3-1",
        "The reasons of an UNSUBACK are in the order of the filters.",
    ),
    server(
        "MQTT-3.11.3-2",
        "Each reason of an UNSUBACK is a listed one.",
    ),
];

const CASES: &[Case] = &[
    case!(unsubscribe_flags_are_0010, "MQTT-3.10.1-1"),
    case!(a_filter_to_unsubscribe_is_a_string, "MQTT-3.10.3-1"),
    case!(
        an_unsubscribe_without_filters_ends_the_connection,
        "MQTT-3.10.3-2"
    ),
    case!(
        only_the_equal_filter_is_deleted,
        "MQTT-3.10.4-1",
        "MQTT-3.10.4-2"
    ),
    case!(
        what_is_under_way_is_completed,
        "MQTT-3.10.4-2",
        "MQTT-3.10.4-3"
    ),
    case!(
        an_unsuback_answers_with_its_identifier,
        "MQTT-3.10.4-4",
        "MQTT-3.10.4-5"
    ),
    case!(
        filters_of_an_unsubscribe_are_taken_in_sequence,
        "MQTT-3.10.4-6",
        "MQTT-3.11.3-1"
    ),
    case!(
        an_unsuback_fits_the_clients_maximum,
        "MQTT-3.11.2-1",
        "MQTT-3.11.2-2"
    ),
    case!(the_reasons_of_an_unsuback_are_listed, "MQTT-3.11.3-2"),
];

async fn ends_the_connection(stage: &Stage, first: u8, body: &[u8]) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_packet(first, body).await?;
    cut(&mut client)
        .await
        .with_context(|| format!("{first:02x} {body:02x?}"))
}

async fn unsubscribe_flags_are_0010(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let body = wire::unsubscribe(1, &[], &[topic.as_bytes()]);
    for flags in (0..16).filter(|flags| *flags != 2) {
        ends_the_connection(&stage, 0xa0 | flags, &body).await?;
    }
    Ok(())
}

async fn a_filter_to_unsubscribe_is_a_string(stage: Stage) -> Result<()> {
    for bad in [&b"a\xff"[..], b"\xed\xa0\x80", b"\xc0\x80"] {
        let body = wire::unsubscribe(1, &[], &[bad]);
        ends_the_connection(&stage, 0xa2, &body).await?;
        let body = wire::unsubscribe(1, &[], &[b"good", bad]);
        ends_the_connection(&stage, 0xa2, &body).await?;
    }
    Ok(())
}

async fn an_unsubscribe_without_filters_ends_the_connection(stage: Stage) -> Result<()> {
    for body in [&[0, 1, 0][..], &[0, 1, 0, 0, 9, b'a']] {
        ends_the_connection(&stage, 0xa2, body).await?;
    }
    Ok(())
}

async fn only_the_equal_filter_is_deleted(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    for name in ["a/+", "a/#", "A/b", "a/b/", "a", "+/b", "a/b/#"] {
        subscriber.unsubscribe(&[&stage.topic(name)]).await?;
    }
    publisher.publish_done(&topic, "message", 1, false).await?;
    subscriber.take(&topic).await?;
    let (plus, hash) = (stage.topic("a/+"), stage.topic("a/#"));
    subscriber.subscribe(&[(&plus, 1), (&hash, 1)]).await?;
    for filter in [&topic, &plus] {
        subscriber.unsubscribe(&[filter]).await?;
        publisher.publish_done(&topic, "message", 1, false).await?;
        subscriber.take(&topic).await?;
        // There may be a copy for each that is left.
        while subscriber.unasked().next().is_some() {
            subscriber.take(&topic).await?;
        }
    }
    subscriber.ping().await?;
    while subscriber.unasked().next().is_some() {
        subscriber.take(&topic).await?;
    }
    subscriber.unsubscribe(&[&hash]).await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn what_is_under_way_is_completed(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    let mut started = Vec::new();
    for qos in [1, 2, 2] {
        publisher
            .publish_done(&topic, "started", qos, false)
            .await?;
        started.push(subscriber.publish_on(&topic).await?);
    }
    let Some(released) = started.pop() else {
        bail!("nothing was started")
    };
    subscriber.ack(5, released.id).await?;
    subscriber.acked(6, released.id).await?;
    subscriber.unsubscribe(&[&topic]).await?;
    publisher.publish_done(&topic, "new", 1, false).await?;
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    for message in &started {
        let again = subscriber.publish_on(&topic).await?;
        ensure!(again.id == message.id && again.dup, "{again:?}");
        subscriber.acknowledge(&again).await?;
    }
    subscriber.acked(6, released.id).await?;
    subscriber.ack(7, released.id).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn an_unsuback_answers_with_its_identifier(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    client.subscribe(&[(&topic, 0)]).await?;
    // 0x11 says that there was none.
    for (id, reason) in [(0xffff, 0), (1, 0x11), (1, 0x11), (0x100, 0x11)] {
        let body = wire::unsubscribe(id, &[], &[topic.as_bytes()]);
        client.send_packet(0xa2, &body).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::UnsubAck(id, vec![reason]), "{answer:?}");
    }
    Ok(())
}

async fn filters_of_an_unsubscribe_are_taken_in_sequence(stage: Stage) -> Result<()> {
    let topics = ["a", "b", "c"].map(|name| stage.topic(name));
    let filters: Vec<_> = topics.iter().map(|topic| (&**topic, 1)).collect();
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let unknown = stage.topic("unknown");
    let [a, b, c] = topics.each_ref().map(String::as_bytes);
    let body = wire::unsubscribe(9, &[], &[a, unknown.as_bytes(), c, a]);
    subscriber.send_packet(0xa2, &body).await?;
    let answer = subscriber.next().await?;
    let expected = Packet::UnsubAck(9, vec![0, 0x11, 0, 0x11]);
    ensure!(answer == expected, "{answer:?}, not {expected:?}");
    for topic in &topics {
        publisher.publish_done(topic, "message", 1, false).await?;
    }
    let message = subscriber.take(&topics[1]).await?;
    ensure!(message.topic.as_bytes() == b, "{message:?}");
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn an_unsuback_fits_the_clients_maximum(stage: Stage) -> Result<()> {
    for maximum in [64, 72, 90] {
        let limit = [0x27, 0, 0, 0, maximum];
        let (mut bare, _) = Bare::connected(&stage, "client", &limit).await?;
        for answer in provoke(&mut bare).await? {
            let fits = answer.kind() != 11 || answer.size <= usize::from(maximum);
            ensure!(fits, "{} bytes: {answer:02x?}", answer.size);
        }
    }
    Ok(())
}

async fn the_reasons_of_an_unsuback_are_listed(stage: Stage) -> Result<()> {
    let listed = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
    let (mut bare, _) = Bare::connected(&stage, "client", &[]).await?;
    for answer in provoke(&mut bare).await? {
        if answer.kind() == 11 {
            // Two filters, and after their reasons comes nothing.
            let reasons = answer.body.get(answer.body.len() - 2..).unwrap_or_default();
            let right = reasons.iter().all(|reason| listed.contains(reason));
            ensure!(right && reasons.len() == 2, "{answer:02x?}");
        }
    }
    Ok(())
}
