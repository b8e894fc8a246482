//! Clean Start: section 3.1.2.4.

use anyhow::{Result, ensure};

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.4 Clean Start",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.2-4",
        "Clean Start 1 discards an earlier session and begins a new one.",
    ),
    server(
        "MQTT-3.1.2-5",
        "Clean Start 0 resumes the session of the client id from its state.",
    ),
    server(
        "MQTT-3.1.2-6",
        "Clean Start 0 begins a new session where there is none.",
    ),
];

const CASES: &[Case] = &[
    case!(a_clean_start_discards_the_earlier_session, "MQTT-3.1.2-4"),
    case!(a_session_is_resumed_with_its_state, "MQTT-3.1.2-5"),
    case!(without_a_session_a_new_one_begins, "MQTT-3.1.2-6"),
];

async fn a_clean_start_discards_the_earlier_session(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut subscriber = stage.connected(&stage.lasting("subscriber")).await?;
    subscriber.subscribe(&[(&topic, 1)]).await?;
    subscriber.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher.publish_done(&topic, "kept", 1, false).await?;
    // The new session may last as well.
    let mut options = stage.lasting("subscriber");
    options.clean = true;
    let (mut subscriber, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "{connack:?}");
    publisher.publish_done(&topic, "late", 1, false).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_session_is_resumed_with_its_state(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    publisher.publish_done(&topic, "started", 2, false).await?;
    let started = subscriber.publish_on(&topic).await?;
    subscriber.disconnect(0).await?;
    publisher.publish_done(&topic, "queued", 1, false).await?;
    let (mut subscriber, connack) = stage.answered(&options).await?;
    ensure!(connack.session_present, "{connack:?}");
    let again = subscriber.take(&topic).await?;
    ensure!(
        again.id == started.id && again.payload == "started",
        "{again:?}"
    );
    let queued = subscriber.take(&topic).await?;
    ensure!(queued.payload == "queued", "{queued:?}");
    publisher.publish_done(&topic, "new", 1, false).await?;
    let new = subscriber.take(&topic).await?;
    ensure!(new.payload == "new", "{new:?}");
    Ok(())
}

async fn without_a_session_a_new_one_begins(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let (mut subscriber, connack) = stage.answered(&options).await?;
    ensure!(!connack.session_present, "{connack:?}");
    subscriber.subscribe(&[(&topic, 1)]).await?;
    drop(subscriber);
    let (_subscriber, connack) = stage.answered(&options).await?;
    ensure!(connack.session_present, "{connack:?}");
    Ok(())
}
