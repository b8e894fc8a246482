//! Topic names and filters: section 4.7.

use anyhow::{Context, Result, ensure};
use partyline_testkit::{Packet, RawClient};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{server, unseen};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.7 Topic names and topic filters",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.7.1-1",
        "Wildcards are for filters, not for topic names.",
    ),
    server(
        "MQTT-4.7.1-2",
        "# stands alone or after a separator, and is the last character of its filter.",
    ),
    server(
        "MQTT-4.7.1-3",
        "+ may be at any level of a filter, and takes all of it.",
    ),
    server(
        "MQTT-4.7.2-1",
        "A filter that begins with a wildcard does not match topics that begin with $.",
    ),
    server(
        "MQTT-4.7.3-1",
        "Topic names and filters have at least one character.",
    ),
    server("MQTT-4.7.3-2", "Topic names and filters have no U+0000."),
    unseen(
        "MQTT-4.7.3-3",
        "Topic names and filters have at most 65,535 bytes.",
        "a string on the wire cannot be longer, as its length has 16 bits",
    ),
    server(
        "MQTT-4.7.3-4",
        "Nothing is normalised, changed or replaced when names are compared with filters.",
    ),
];

const CASES: &[Case] = &[
    case!(a_multi_level_wildcard_must_be_last, "MQTT-4.7.1-2"),
    case!(a_multi_level_wildcard_matches_all_below, "MQTT-4.7.1-2"),
    case!(a_single_level_wildcard_takes_a_level, "MQTT-4.7.1-3"),
    case!(a_single_level_wildcard_may_be_at_any_level, "MQTT-4.7.1-3"),
    case!(leading_wildcards_do_not_match_dollar_topics, "MQTT-4.7.2-1"),
    case!(a_topic_has_at_least_one_character, "MQTT-4.7.3-1"),
    case!(topics_are_compared_as_they_are, "MQTT-4.7.3-4"),
];

/// The filter is not granted: the SUBACK says failure, or the connection ends.
async fn not_granted(stage: &Stage, filter: &str) -> Result<()> {
    let mut client = stage.client("client").await?;
    let subscribe = wire::subscribe(1, filter.as_bytes(), 0);
    client.send_packet(0x82, &subscribe).await?;
    let answer = client.next().await?;
    let refused = [Packet::SubAck(1, vec![0x80]), Packet::Closed].contains(&answer);
    ensure!(refused, "{answer:?} to {filter:?}");
    Ok(())
}

/// Of all these topics, the filter matches those and no others.
async fn matches(stage: &Stage, filter: &str, topics: &[&str], matched: &[&str]) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let filter = stage.topic(filter);
    let mut subscriber = stage.subscriber("subscriber", &[(&filter, 0)]).await?;
    for topic in topics {
        publisher
            .publish(&stage.topic(topic), "message", 0, false)
            .await?;
    }
    for topic in matched {
        subscriber
            .take(&stage.topic(topic))
            .await
            .with_context(|| filter.clone())?;
    }
    stage
        .nothing_more(&mut publisher, &mut subscriber)
        .await
        .with_context(|| filter.clone())
}

const TREE: &[&str] = &[
    "a", "a/", "a/b", "a/b/c", "a/b/c/d", "a//c", "/", "/b", "b", "b/b", "b/a",
];

async fn a_multi_level_wildcard_must_be_last(stage: Stage) -> Result<()> {
    for name in [
        "#/a", "a/#/b", "a#", "a/b#", "#a", "a/#b", "##", "a/#/", "a/#/#", "+#",
    ] {
        not_granted(&stage, &stage.topic(name)).await?;
    }
    for filter in ["#/a", "##", "a#", "#/#"] {
        not_granted(&stage, filter).await?;
    }
    Ok(())
}

async fn a_multi_level_wildcard_matches_all_below(stage: Stage) -> Result<()> {
    matches(&stage, "#", TREE, TREE).await?;
    let below = ["a", "a/", "a/b", "a/b/c", "a/b/c/d", "a//c"];
    matches(&stage, "a/#", TREE, &below).await?;
    matches(&stage, "a/b/#", TREE, &below[2..5]).await?;
    matches(&stage, "a/b/c/d/e/#", TREE, &[]).await
}

async fn a_single_level_wildcard_takes_a_level(stage: Stage) -> Result<()> {
    for name in ["a+", "+a", "a/b+", "a/+b/c", "++", "a/++", "+a/b", "a+/b"] {
        not_granted(&stage, &stage.topic(name)).await?;
    }
    for filter in ["++", "a+", "+a", "+a/b"] {
        not_granted(&stage, filter).await?;
    }
    Ok(())
}

async fn a_single_level_wildcard_may_be_at_any_level(stage: Stage) -> Result<()> {
    matches(&stage, "+", TREE, &["a", "b"]).await?;
    let two = ["a/", "a/b", "/", "/b", "b/b", "b/a"];
    matches(&stage, "+/+", TREE, &two).await?;
    matches(&stage, "+/b", TREE, &["a/b", "/b", "b/b"]).await?;
    matches(&stage, "a/+", TREE, &["a/", "a/b"]).await?;
    matches(&stage, "a/+/c", TREE, &["a/b/c", "a//c"]).await?;
    matches(&stage, "/+", TREE, &["/", "/b"]).await?;
    matches(
        &stage,
        "a/+/#",
        TREE,
        &["a/", "a/b", "a/b/c", "a/b/c/d", "a//c"],
    )
    .await
}

/// Neither what the broker itself has on `$` topics, nor what a client may publish there.
async fn leading_wildcards_do_not_match_dollar_topics(stage: Stage) -> Result<()> {
    let id = stage.client_id("");
    let dollar = format!("${id}/a");
    let filters = [
        ("#", 0),
        ("+/#", 0),
        ("+/a", 0),
        ("+/broker/#", 0),
        ("+/broker/version", 0),
    ];
    let marker = stage.topic("marker");
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let mut publisher = stage.client("publisher").await?;
    // It need not be allowed; then the connection may end.
    let mut bold = stage.client("bold").await?;
    bold.publish(&dollar, "message", 0, true).await?;
    let _ended: Result<()> = bold.ping().await;
    let mut late = stage.subscriber("late", &filters).await?;
    publisher.publish_done(&marker, "marker", 0, false).await?;
    for client in [&mut subscriber, &mut late] {
        client.publish_on(&marker).await?;
        ensure!(
            no_dollar_topics(client),
            "{:?}",
            client.unasked().collect::<Vec<_>>()
        );
    }
    Ok(())
}

fn no_dollar_topics(client: &RawClient) -> bool {
    !{ client.unasked() }
        .any(|packet| matches!(packet, Packet::Publish(message) if message.topic.starts_with('$')))
}

async fn a_topic_has_at_least_one_character(stage: Stage) -> Result<()> {
    for qos in 0..=2 {
        let mut client = stage.client("client").await?;
        client.publish("", "message", qos, false).await?;
        cut(&mut client).await?;
    }
    not_granted(&stage, "").await?;
    // One is enough.
    let mut subscriber = stage.subscriber("subscriber", &[("/", 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    publisher.publish("/", "message", 0, false).await?;
    subscriber.take("/").await?;
    Ok(())
}

async fn topics_are_compared_as_they_are(stage: Stage) -> Result<()> {
    // Each is a topic of its own.
    let topics = [
        "name",
        "Name",
        "NAME",
        "name ",
        " name",
        "/name",
        "name/",
        "//name",
        "./name",
        "a/../name",
        "na%6de",
        "e\u{301}",
        "\u{e9}",
        "\u{fb01}",
        "fi",
        "na\u{200b}me",
        "\u{ff21}",
        "A",
    ];
    let mut publisher = stage.client("publisher").await?;
    let mut subscribers = Vec::new();
    for (number, topic) in topics.iter().enumerate() {
        let name = format!("subscriber{number}");
        let filter = stage.topic(topic);
        subscribers.push(stage.subscriber(&name, &[(&filter, 0)]).await?);
    }
    for topic in topics {
        publisher
            .publish(&stage.topic(topic), topic, 0, false)
            .await?;
    }
    for (topic, subscriber) in topics.iter().zip(&mut subscribers) {
        let message = subscriber.take(&stage.topic(topic)).await?;
        ensure!(message.payload == *topic, "{message:?}");
        stage.nothing_more(&mut publisher, subscriber).await?;
    }
    Ok(())
}
