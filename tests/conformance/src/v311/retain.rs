//! RETAIN: section 3.3.1.3.

use anyhow::{Result, ensure};
use partyline_testkit::Packet;

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.1 PUBLISH: RETAIN",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.3.1-5",
        "A message with RETAIN is kept with its QoS for future subscribers of its topic.",
    ),
    server(
        "MQTT-3.3.1-6",
        "A new subscription is sent the last retained message of each topic that matches.",
    ),
    server(
        "MQTT-3.3.1-7",
        "A QoS 0 message with RETAIN discards what was retained on its topic before.",
    ),
    server(
        "MQTT-3.3.1-8",
        "What is sent because of a new subscription has RETAIN 1.",
    ),
    server(
        "MQTT-3.3.1-9",
        "What is sent because of an established subscription has RETAIN 0.",
    ),
    server(
        "MQTT-3.3.1-10",
        "An empty message with RETAIN goes to subscribers as any other, and removes what was retained.",
    ),
    server(
        "MQTT-3.3.1-11",
        "An empty message with RETAIN is not itself retained.",
    ),
    server(
        "MQTT-3.3.1-12",
        "A message without RETAIN is not retained and leaves what is retained alone.",
    ),
];

const CASES: &[Case] = &[
    case!(
        a_retained_message_is_kept_with_its_qos,
        "MQTT-3.3.1-5",
        "MQTT-3.3.1-8"
    ),
    case!(
        a_new_subscription_gets_the_last_of_each_topic,
        "MQTT-3.3.1-6",
        "MQTT-3.3.1-8"
    ),
    case!(qos_0_replaces_what_was_retained, "MQTT-3.3.1-7"),
    case!(retain_is_not_passed_on, "MQTT-3.3.1-9"),
    case!(
        an_empty_message_removes_what_was_retained,
        "MQTT-3.3.1-10",
        "MQTT-3.3.1-11"
    ),
    case!(without_retain_nothing_is_kept_or_replaced, "MQTT-3.3.1-12"),
];

async fn a_retained_message_is_kept_with_its_qos(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    for qos in [1, 2] {
        let topic = stage.topic(&format!("qos{qos}"));
        publisher.publish_done(&topic, "kept", qos, true).await?;
        let mut late = stage.subscriber("late", &[(&topic, 2)]).await?;
        let message = late.take(&topic).await?;
        ensure!(message.payload == "kept", "{message:?}");
        ensure!(message.retain && message.qos == qos, "{message:?}");
    }
    Ok(())
}

async fn a_new_subscription_gets_the_last_of_each_topic(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let topics = [
        stage.topic("a/one"),
        stage.topic("a/two"),
        stage.topic("b/one"),
    ];
    for payload in ["first", "last"] {
        for topic in &topics {
            publisher.publish_done(topic, payload, 1, true).await?;
        }
    }
    let filter = stage.topic("a/+");
    let mut late = stage.subscriber("late", &[(&filter, 1)]).await?;
    for topic in &topics[..2] {
        let message = late.take(topic).await?;
        ensure!(message.payload == "last" && message.retain, "{message:?}");
    }
    stage.nothing_more(&mut publisher, &mut late).await
}

async fn qos_0_replaces_what_was_retained(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "old", 1, true).await?;
    publisher.publish_done(&topic, "new", 0, true).await?;
    let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
    late.ping().await?;
    late.ping().await?;
    // The new one need not be kept, but the old one must not.
    for packet in late.unasked() {
        let new = matches!(packet, Packet::Publish(message) if message.payload == "new");
        ensure!(new, "{packet:?}");
    }
    Ok(())
}

async fn retain_is_not_passed_on(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        publisher.publish_done(&topic, "message", qos, true).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(!message.retain, "{message:?}");
    }
    Ok(())
}

async fn an_empty_message_removes_what_was_retained(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        publisher.publish_done(&topic, "kept", 1, true).await?;
        subscriber.take(&topic).await?;
        publisher.publish_done(&topic, "", qos, true).await?;
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload.is_empty() && !message.retain, "{message:?}");
        let mut late = stage.subscriber("late", &[(&topic, 2)]).await?;
        stage.nothing_more(&mut publisher, &mut late).await?;
    }
    Ok(())
}

async fn without_retain_nothing_is_kept_or_replaced(stage: Stage) -> Result<()> {
    let (kept, never) = (stage.topic("kept"), stage.topic("never"));
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&kept, "kept", 1, true).await?;
    for (qos, payload) in [(0, "message"), (1, "message"), (2, "message"), (1, "")] {
        publisher.publish_done(&kept, payload, qos, false).await?;
        publisher.publish_done(&never, payload, qos, false).await?;
    }
    let filters = [(&*kept, 1), (&*never, 1)];
    let mut late = stage.subscriber("late", &filters).await?;
    let message = late.take(&kept).await?;
    ensure!(message.payload == "kept", "{message:?}");
    stage.nothing_more(&mut publisher, &mut late).await
}
