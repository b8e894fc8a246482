//! Messages and those who receive them: section 4.5.

use anyhow::{Result, ensure};

use crate::case::case;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.5 Message receipt",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.5.0-1",
        "A message that a server takes is added to the session of every client with a subscription that matches.",
    ),
    client(
        "MQTT-4.5.0-2",
        "A client acknowledges what it receives, whatever it does with it.",
    ),
];

const CASES: &[Case] = &[case!(
    a_message_goes_to_every_session_that_matches,
    "MQTT-4.5.0-1"
)];

/// To those who are there, who are away, and to the publisher itself.
async fn a_message_goes_to_every_session_that_matches(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let filters = ["a/b", "a/+", "+/b", "#", "a/#", "a/b/#"].map(|name| stage.topic(name));
    let others = [stage.topic("a"), stage.topic("a/c"), stage.topic("+")];
    let mut publisher = stage.subscriber("publisher", &[(&topic, 1)]).await?;
    let mut there = Vec::new();
    for (number, filter) in filters.iter().enumerate() {
        let name = format!("there{number}");
        there.push(stage.subscriber(&name, &[(filter, 1)]).await?);
        let name = format!("away{number}");
        let mut away = stage.connected(&stage.lasting(&name)).await?;
        away.subscribe(&[(filter, 1)]).await?;
        away.disconnect(0).await?;
    }
    let pairs: Vec<_> = others.iter().map(|filter| (&**filter, 1)).collect();
    let mut stranger = stage.subscriber("stranger", &pairs).await?;
    publisher.publish_done(&topic, "message", 1, false).await?;
    publisher.take(&topic).await?;
    for client in &mut there {
        client.take(&topic).await?;
    }
    for number in 0..filters.len() {
        let options = stage.lasting(&format!("away{number}"));
        let mut away = stage.connected(&options).await?;
        let message = away.take(&topic).await?;
        ensure!(message.payload == "message", "{message:?}");
    }
    stage.nothing_more(&mut publisher, &mut stranger).await
}
