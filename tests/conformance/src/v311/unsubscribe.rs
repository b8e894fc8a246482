//! UNSUBSCRIBE: section 3.10.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.10 UNSUBSCRIBE",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.10.1-1",
        "The flags of UNSUBSCRIBE are 0010; others end the connection.",
    ),
    server(
        "MQTT-3.10.3-1",
        "Its topic filters are UTF-8 strings, one after the other.",
    ),
    server(
        "MQTT-3.10.3-2",
        "An UNSUBSCRIBE has at least one filter; one without ends the connection.",
    ),
    server(
        "MQTT-3.10.4-1",
        "A filter is compared byte by byte; the subscription that is equal is deleted, no other.",
    ),
    server(
        "MQTT-3.10.4-2",
        "No new messages are then added for the client.",
    ),
    server(
        "MQTT-3.10.4-3",
        "Messages above QoS 0 that are under way are completed.",
    ),
    server(
        "MQTT-3.10.4-4",
        "An UNSUBACK with the same packet identifier answers.",
    ),
    server(
        "MQTT-3.10.4-5",
        "An UNSUBACK answers even if nothing was deleted.",
    ),
    server(
        "MQTT-3.10.4-6",
        "Several filters are as several UNSUBSCRIBE packets in sequence, but for one UNSUBACK.",
    ),
];

const CASES: &[Case] = &[
    case!(unsubscribe_flags_are_0010, "MQTT-3.10.1-1"),
    case!(
        an_unsubscribe_without_filters_ends_the_connection,
        "MQTT-3.10.3-2"
    ),
    case!(
        only_the_equal_filter_is_unsubscribed,
        "MQTT-3.10.4-1",
        "MQTT-3.10.4-2"
    ),
    case!(unsubscribing_leaves_messages_under_way, "MQTT-3.10.4-3"),
    case!(
        unsubscribing_leaves_messages_to_be_sent_again,
        "MQTT-3.10.4-3"
    ),
    case!(
        an_unsubscribe_is_always_answered,
        "MQTT-3.10.4-4",
        "MQTT-3.10.4-5"
    ),
    case!(
        several_filters_are_unsubscribed_at_once,
        "MQTT-3.10.3-1",
        "MQTT-3.10.4-6"
    ),
];

async fn unsubscribe_flags_are_0010(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for flags in (0..16).filter(|flags| *flags != 2) {
        let mut client = stage.client("client").await?;
        let unsubscribe = wire::unsubscribe(1, topic.as_bytes());
        client.send_packet(0xa0 | flags, &unsubscribe).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("flags {flags:04b}"))?;
    }
    Ok(())
}

async fn an_unsubscribe_without_filters_ends_the_connection(stage: Stage) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_packet(0xa2, &[0, 1]).await?;
    cut(&mut client).await
}

async fn only_the_equal_filter_is_unsubscribed(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let mut publisher = stage.client("publisher").await?;
    for (subscribed, others) in [
        ("a/b", ["a/+", "#", "a/B", "a/b/", "a//b"]),
        ("a/+", ["a/b", "a/#", "+/b", "a/+/", "+/+"]),
        ("#", ["a/b", "+/+", "a/#", "/#", "+/#"]),
    ] {
        let filter = stage.topic(subscribed);
        let mut subscriber = stage.subscriber("subscriber", &[(&filter, 1)]).await?;
        for other in others {
            subscriber.unsubscribe(&[&stage.topic(other)]).await?;
            publisher.publish(&topic, "message", 1, false).await?;
            subscriber.take(&topic).await.context(other)?;
        }
        subscriber.unsubscribe(&[&filter]).await?;
        for qos in 0..=2 {
            publisher
                .publish_done(&topic, "message", qos, false)
                .await?;
        }
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    Ok(())
}

async fn unsubscribing_leaves_messages_under_way(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        let mut subscriber = stage.subscriber("subscriber", &[(&topic, qos)]).await?;
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let message = subscriber.publish_on(&topic).await?;
        subscriber.unsubscribe(&[&topic]).await?;
        // Its PUBREC is answered by a PUBREL.
        subscriber.acknowledge(&message).await?;
        subscriber.ping().await?;
    }
    Ok(())
}

async fn unsubscribing_leaves_messages_to_be_sent_again(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        let mut subscriber = stage.connected(&options).await?;
        subscriber.subscribe(&[(&topic, qos)]).await?;
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        let message = subscriber.publish_on(&topic).await?;
        subscriber.unsubscribe(&[&topic]).await?;
        drop(subscriber);
        let mut subscriber = stage.connected(&options).await?;
        let again = subscriber.take(&topic).await?;
        ensure!(again.dup && again.id == message.id, "{again:?}");
        subscriber.ping().await?;
    }
    Ok(())
}

async fn an_unsubscribe_is_always_answered(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.subscriber("client", &[(&topic, 0)]).await?;
    // The first deletes the subscription, the others find none.
    for id in [7, 0x0700, 0xfffe] {
        let unsubscribe = wire::unsubscribe(id, topic.as_bytes());
        client.send_packet(0xa2, &unsubscribe).await?;
        let answer = client.next().await?;
        ensure!(answer == Packet::UnsubAck(id, vec![]), "{answer:?}");
    }
    Ok(())
}

async fn several_filters_are_unsubscribed_at_once(stage: Stage) -> Result<()> {
    let topics = ["one", "two", "three", "four"].map(|name| stage.topic(name));
    let mut publisher = stage.client("publisher").await?;
    let filters: Vec<_> = topics.iter().map(|topic| (&**topic, 1)).collect();
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let [one, two, three, four] = &topics;
    let unknown = stage.topic("unknown");
    let body: Vec<u8> = [one, two, &unknown, four, one]
        .iter()
        .flat_map(|filter| wire::counted(filter.as_bytes()))
        .collect();
    subscriber
        .send_packet(0xa2, &[&[0, 9], &*body].concat())
        .await?;
    let answer = subscriber.next().await?;
    ensure!(answer == Packet::UnsubAck(9, vec![]), "{answer:?}");
    for topic in &topics {
        publisher.publish_done(topic, "message", 1, false).await?;
    }
    subscriber.take(three).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}
