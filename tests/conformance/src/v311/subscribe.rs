//! SUBSCRIBE: section 3.8.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.8 SUBSCRIBE",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.8.1-1",
        "The flags of SUBSCRIBE are 0010; others end the connection.",
    ),
    server("MQTT-3.8.3-1", "Topic filters are UTF-8 strings."),
    server(
        "MQTT-3.8.3-2",
        "A server without wildcards rejects every filter that has one.",
    ),
    server(
        "MQTT-3.8.3-3",
        "A SUBSCRIBE has at least one filter with its QoS; one without ends the connection.",
    ),
    server(
        "MQTT-3.8.3-4",
        "Reserved bits or a QoS above 2 in the payload end the connection.",
    ),
    server("MQTT-3.8.4-1", "A SUBSCRIBE is answered by a SUBACK."),
    server(
        "MQTT-3.8.4-2",
        "The SUBACK has the SUBSCRIBE's packet identifier.",
    ),
    server(
        "MQTT-3.8.4-3",
        "A filter that is subscribed again replaces the subscription; retained messages come again, and nothing is lost.",
    ),
    server(
        "MQTT-3.8.4-4",
        "Several filters are as several SUBSCRIBE packets in sequence, but for one SUBACK.",
    ),
    server(
        "MQTT-3.8.4-5",
        "The SUBACK has a code for each filter: the QoS that was granted, or failure.",
    ),
    server(
        "MQTT-3.8.4-6",
        "A message comes with the lower of the QoS it was published with and the QoS granted.",
    ),
];

const CASES: &[Case] = &[
    case!(subscribe_flags_are_0010, "MQTT-3.8.1-1"),
    case!(a_wildcard_is_served_or_rejected, "MQTT-3.8.3-2"),
    case!(
        a_subscribe_without_filters_ends_the_connection,
        "MQTT-3.8.3-3"
    ),
    case!(reserved_bits_of_the_qos_end_the_connection, "MQTT-3.8.3-4"),
    case!(
        a_subscribe_is_answered_by_its_suback,
        "MQTT-3.8.4-1",
        "MQTT-3.8.4-2"
    ),
    case!(a_repeated_filter_replaces_the_subscription, "MQTT-3.8.4-3"),
    case!(a_repeated_filter_interrupts_nothing, "MQTT-3.8.4-3"),
    case!(several_filters_are_as_several_packets, "MQTT-3.8.4-4"),
    case!(suback_has_a_code_for_each_filter, "MQTT-3.8.4-5"),
    case!(a_message_comes_with_the_lower_qos, "MQTT-3.8.4-6"),
];

async fn subscribe_flags_are_0010(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for flags in (0..16).filter(|flags| *flags != 2) {
        let mut client = stage.client("client").await?;
        let subscribe = wire::subscribe(1, topic.as_bytes(), 0);
        client.send_packet(0x80 | flags, &subscribe).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("flags {flags:04b}"))?;
    }
    Ok(())
}

async fn a_wildcard_is_served_or_rejected(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let mut publisher = stage.client("publisher").await?;
    for name in ["#", "+/b", "a/+", "a/#"] {
        let mut subscriber = stage.client("subscriber").await?;
        let codes = subscriber.subscribe(&[(&stage.topic(name), 0)]).await?;
        if codes == [0] {
            publisher.publish(&topic, "message", 0, false).await?;
            subscriber.take(&topic).await.context(name)?;
        } else {
            ensure!(codes == [0x80], "{name}: {codes:02x?}");
        }
    }
    Ok(())
}

async fn a_subscribe_without_filters_ends_the_connection(stage: Stage) -> Result<()> {
    // No filter at all, and one without its QoS.
    let topic = wire::counted(stage.topic("topic").as_bytes());
    for payload in [&[][..], &topic] {
        let mut client = stage.client("client").await?;
        let body = [&[0, 1][..], payload].concat();
        client.send_packet(0x82, &body).await?;
        cut(&mut client).await?;
    }
    Ok(())
}

async fn reserved_bits_of_the_qos_end_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for qos in [3, 4, 8, 0x10, 0x21, 0x42, 0x80, 0xff] {
        let mut client = stage.client("client").await?;
        let subscribe = wire::subscribe(1, topic.as_bytes(), qos);
        client.send_packet(0x82, &subscribe).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("{qos:#04x}"))?;
    }
    Ok(())
}

async fn a_subscribe_is_answered_by_its_suback(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    for id in [7, 0x0700, 0xfffe] {
        let subscribe = wire::subscribe(id, topic.as_bytes(), 1);
        client.send_packet(0x82, &subscribe).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::SubAck(id, vec![1]), "{answer:?}");
    }
    Ok(())
}

async fn a_repeated_filter_replaces_the_subscription(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 2, true).await?;
    let mut subscriber = stage.client("subscriber").await?;
    for qos in [0, 2, 1] {
        let codes = subscriber.subscribe(&[(&topic, qos)]).await?;
        ensure!(codes == [qos], "{codes:?}");
        let retained = subscriber.take(&topic).await?;
        ensure!(retained.retain && retained.qos == qos, "{retained:?}");
        publisher.publish_done(&topic, "message", 2, false).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload == "message", "{message:?}");
        ensure!(message.qos == qos, "{message:?}, granted {qos}");
        // There is one subscription, hence one copy.
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    subscriber.unsubscribe(&[&topic]).await?;
    publisher.publish_done(&topic, "message", 2, false).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_repeated_filter_interrupts_nothing(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    for round in 0..50_u8 {
        let number = [round];
        publisher.publish(&topic, number, 1, false).await?;
        let subscribe = wire::subscribe(100, topic.as_bytes(), 1);
        subscriber.send_packet(0x82, &subscribe).await?;
    }
    for round in 0..50_u8 {
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload == [round][..], "{message:?}, not {round}");
    }
    Ok(())
}

async fn several_filters_are_as_several_packets(stage: Stage) -> Result<()> {
    let topics = [stage.topic("one"), stage.topic("two"), stage.topic("three")];
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topics[1], "kept", 1, true).await?;
    let mut subscriber = stage.client("subscriber").await?;
    // The first filter comes again as the last: that subscription counts.
    let filters = [
        (&*topics[0], 0),
        (&*topics[1], 1),
        (&*topics[2], 2),
        (&*topics[0], 2),
    ];
    let body: Vec<u8> = { filters.iter() }
        .flat_map(|(filter, qos)| [wire::counted(filter.as_bytes()), vec![*qos]].concat())
        .collect();
    subscriber
        .send_packet(0x82, &[&[0, 9], &*body].concat())
        .await?;
    let retained = subscriber.take(&topics[1]).await?;
    ensure!(retained.retain && retained.qos == 1, "{retained:?}");
    subscriber.ping().await?;
    let answers: Vec<_> = subscriber.unasked().cloned().collect();
    ensure!(
        answers == [Packet::SubAck(9, vec![0, 1, 2, 2])],
        "{answers:?}"
    );
    for (topic, qos) in topics.iter().zip([2, 1, 2]) {
        publisher.publish_done(topic, "message", 2, false).await?;
        let message = subscriber.take(topic).await?;
        ensure!(message.qos == qos, "{message:?}");
    }
    Ok(())
}

async fn suback_has_a_code_for_each_filter(stage: Stage) -> Result<()> {
    let topics: Vec<_> = (0..20).map(|n| stage.topic(&format!("{n}"))).collect();
    let mut client = stage.client("client").await?;
    for count in [1, 2, 5, 20] {
        let filters = { topics.iter().take(count) }.zip((0..3).cycle());
        let filters: Vec<_> = filters.map(|(topic, qos)| (&**topic, qos)).collect();
        let codes = client.subscribe(&filters).await?;
        ensure!(codes.len() == count, "{count} filters, {codes:02x?}");
        for ((_, asked), code) in filters.iter().zip(&codes) {
            ensure!(code <= asked || *code == 0x80, "{codes:02x?}");
        }
    }
    Ok(())
}

async fn a_message_comes_with_the_lower_qos(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    for granted in 0..=2 {
        let mut subscriber = stage.subscriber("subscriber", &[(&topic, granted)]).await?;
        for published in 0..=2 {
            publisher
                .publish_done(&topic, "message", published, false)
                .await?;
            let message = subscriber.take(&topic).await?;
            let lower = granted.min(published);
            ensure!(message.qos == lower, "{message:?}, not QoS {lower}");
        }
    }
    Ok(())
}
