//! The Clean Session flag: section 3.1.2.4.

use anyhow::{Result, ensure};

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.4 Clean Session",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.2-4",
        "Clean Session 0 resumes the session of the client id, or begins one, and keeps it afterwards.",
    ),
    server(
        "MQTT-3.1.2-5",
        "A session that is kept also keeps the QoS 1 and 2 messages that match its subscriptions.",
    ),
    server(
        "MQTT-3.1.2-6",
        "Clean Session 1 discards an earlier session and begins one that nothing is kept of.",
    ),
    server(
        "MQTT-3.1.2-7",
        "Retained messages are no part of a session and stay when it ends.",
    ),
];

const CASES: &[Case] = &[
    case!(a_session_is_resumed_with_its_subscriptions, "MQTT-3.1.2-4"),
    case!(an_absent_client_gets_its_messages_later, "MQTT-3.1.2-5"),
    case!(a_clean_session_discards_the_earlier_one, "MQTT-3.1.2-6"),
    case!(nothing_is_kept_of_a_clean_session, "MQTT-3.1.2-6"),
    case!(retained_messages_outlive_the_session, "MQTT-3.1.2-7"),
];

async fn a_session_is_resumed_with_its_subscriptions(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let (mut subscriber, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "there was none: {connack:?}");
    subscriber.subscribe(&[(&topic, 1)]).await?;
    subscriber.disconnect(0).await?;
    let (mut subscriber, connack) = stage.answered(&options).await?;
    ensure!(connack.session_present, "it is gone: {connack:?}");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish(&topic, "message", 1, false).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(message.qos == 1, "{message:?}");
    Ok(())
}

async fn an_absent_client_gets_its_messages_later(stage: Stage) -> Result<()> {
    let (topic, other) = (stage.topic("topic"), stage.topic("other"));
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    for (payload, qos) in [("one", 1), ("two", 2), ("three", 1)] {
        publisher.publish_done(&topic, payload, qos, false).await?;
        publisher.publish_done(&other, payload, qos, false).await?;
    }
    let mut subscriber = stage.connected(&options).await?;
    for (payload, qos) in [("one", 1), ("two", 2), ("three", 1)] {
        let message = subscriber.take(&topic).await?;
        ensure!(message.payload == payload, "{message:?}, not {payload}");
        ensure!(message.qos == qos && !message.dup, "{message:?}");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_clean_session_discards_the_earlier_one(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 1)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, false).await?;
    let mut subscriber = stage.client("subscriber").await?;
    publisher.publish_done(&topic, "late", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn nothing_is_kept_of_a_clean_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "lost", 1, false).await?;
    let options = stage.lasting("subscriber");
    let (mut subscriber, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "{connack:?}");
    publisher.publish_done(&topic, "late", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn retained_messages_outlive_the_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, true).await?;
    publisher.disconnect(0).await?;
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(message.payload == "kept", "{message:?}");
    Ok(())
}
