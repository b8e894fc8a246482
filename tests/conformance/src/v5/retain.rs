//! Retained messages: section 3.3.1.3.

use anyhow::{Result, ensure};

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.1.3 RETAIN",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.3.1-5",
        "A message with RETAIN is stored in place of the topic's earlier one.",
    ),
    server(
        "MQTT-3.3.1-6",
        "One with an empty payload is handled as any, and removes what was retained.",
    ),
    server(
        "MQTT-3.3.1-7",
        "A message with an empty payload is not retained.",
    ),
    server(
        "MQTT-3.3.1-8",
        "A message without RETAIN neither is stored nor changes what is.",
    ),
    server(
        "MQTT-3.3.1-9",
        "With Retain Handling 0, every matching retained message is sent.",
    ),
    server(
        "MQTT-3.3.1-10",
        "With Retain Handling 1, they are sent only if the subscription is new.",
    ),
    server("MQTT-3.3.1-11", "With Retain Handling 2, none is sent."),
    server(
        "MQTT-3.3.1-12",
        "Without Retain As Published, messages are forwarded with RETAIN 0.",
    ),
    server(
        "MQTT-3.3.1-13",
        "With Retain As Published, RETAIN is forwarded as it came.",
    ),
];

const CASES: &[Case] = &[
    case!(
        the_last_retained_message_is_kept,
        "MQTT-3.3.1-5",
        "MQTT-3.3.1-9"
    ),
    case!(an_empty_retained_message_removes, "MQTT-3.3.1-6"),
    case!(nothing_empty_is_retained, "MQTT-3.3.1-7"),
    case!(a_message_without_retain_changes_nothing, "MQTT-3.3.1-8"),
    case!(retain_handling_0_sends_all, "MQTT-3.3.1-9", "MQTT-3.8.4-4"),
    case!(
        retain_handling_1_sends_to_new_subscriptions,
        "MQTT-3.3.1-10"
    ),
    case!(retain_handling_2_sends_none, "MQTT-3.3.1-11"),
    case!(retain_is_taken_away_unless_asked_for, "MQTT-3.3.1-12"),
    case!(retain_as_published_leaves_it, "MQTT-3.3.1-13"),
];

const RETAIN_AS_PUBLISHED: u8 = 0x08;

async fn the_last_retained_message_is_kept(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        let topic = stage.topic(&format!("qos{qos}"));
        for payload in ["one", "two", "three"] {
            publisher.publish_done(&topic, payload, qos, true).await?;
        }
        let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
        let kept = subscriber.take(&topic).await?;
        ensure!(kept.payload == "three" && kept.retain, "{kept:?}");
        ensure!(kept.qos == qos, "{kept:?}");
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    Ok(())
}

async fn an_empty_retained_message_removes(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut before = stage.subscriber("before", &[(&topic, 1)]).await?;
    for qos in 0..=2 {
        publisher.publish_done(&topic, "kept", 1, true).await?;
        before.take(&topic).await?;
        publisher.publish_done(&topic, "", qos, true).await?;
        let empty = before.take(&topic).await?;
        ensure!(empty.payload.is_empty() && !empty.retain, "{empty:?}");
        let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
        stage.nothing_more(&mut publisher, &mut late).await?;
    }
    Ok(())
}

async fn nothing_empty_is_retained(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "", 1, true).await?;
    let will = stage.options("will").will(&topic, b"", 1, true);
    let mut before = stage.subscriber("before", &[(&topic, 1)]).await?;
    drop(stage.connected(&will).await?);
    before.take(&topic).await?;
    let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
    stage.nothing_more(&mut publisher, &mut late).await
}

async fn a_message_without_retain_changes_nothing(stage: Stage) -> Result<()> {
    let (topic, other) = (stage.topic("topic"), stage.topic("other"));
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, true).await?;
    for payload in ["passing", ""] {
        publisher.publish_done(&topic, payload, 1, false).await?;
        publisher.publish_done(&other, payload, 1, false).await?;
    }
    let filters = [(&*topic, 1), (&*other, 1)];
    let mut late = stage.subscriber("late", &filters).await?;
    let kept = late.take(&topic).await?;
    ensure!(kept.payload == "kept", "{kept:?}");
    stage.nothing_more(&mut publisher, &mut late).await
}

async fn retain_handling_0_sends_all(stage: Stage) -> Result<()> {
    let topics = ["a", "a/b", "a/b/c", "a/d"].map(|name| stage.topic(name));
    let filter = stage.topic("a/#");
    let mut publisher = stage.client("publisher").await?;
    for topic in &topics {
        publisher.publish_done(topic, "kept", 1, true).await?;
    }
    let mut subscriber = stage.client("subscriber").await?;
    // Twice: the second replaces the first.
    for _ in 0..2 {
        subscriber.subscribe(&[(&filter, 1)]).await?;
        for topic in &topics {
            let kept = subscriber.take(topic).await?;
            ensure!(kept.retain, "{kept:?}");
        }
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn retain_handling_1_sends_to_new_subscriptions(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, true).await?;
    let mut subscriber = stage.client("subscriber").await?;
    subscriber.subscribe(&[(&topic, 0x11)]).await?;
    subscriber.take(&topic).await?;
    subscriber.subscribe(&[(&topic, 0x11)]).await?;
    // With another QoS it is still the same.
    subscriber.subscribe(&[(&topic, 0x12)]).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await?;
    subscriber.unsubscribe(&[&topic]).await?;
    subscriber.subscribe(&[(&topic, 0x11)]).await?;
    let kept = subscriber.take(&topic).await?;
    ensure!(kept.payload == "kept", "{kept:?}");
    Ok(())
}

async fn retain_handling_2_sends_none(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, true).await?;
    let mut subscriber = stage.client("subscriber").await?;
    for _ in 0..2 {
        subscriber.subscribe(&[(&topic, 0x21)]).await?;
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await?;
    // What is published from now on comes.
    publisher.publish_done(&topic, "new", 1, true).await?;
    let new = subscriber.take(&topic).await?;
    ensure!(new.payload == "new", "{new:?}");
    Ok(())
}

async fn retain_is_taken_away_unless_asked_for(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 2)]).await?;
    for qos in 0..=2 {
        for retain in [true, false] {
            publisher.publish_done(&topic, "x", qos, retain).await?;
            let message = subscriber.take(&topic).await?;
            ensure!(!message.retain, "{message:?}");
        }
    }
    Ok(())
}

async fn retain_as_published_leaves_it(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.client("subscriber").await?;
    subscriber
        .subscribe(&[(&topic, RETAIN_AS_PUBLISHED | 2)])
        .await?;
    for qos in 0..=2 {
        for retain in [true, false] {
            publisher.publish_done(&topic, "x", qos, retain).await?;
            let message = subscriber.take(&topic).await?;
            ensure!(message.retain == retain, "{message:?}");
        }
    }
    Ok(())
}
