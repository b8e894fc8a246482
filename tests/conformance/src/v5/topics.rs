//! Topic names and filters: section 4.7.

use anyhow::{Context, Result, ensure};
use partyline_testkit::{Packet, RawClient};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.7 Topic names and filters",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.7.0-1",
        "Wildcards stand in filters only, not in topic names.",
    ),
    server(
        "MQTT-4.7.1-1",
        "# is a level of its own, and the last of its filter.",
    ),
    server("MQTT-4.7.1-2", "+ may be at any level, and is all of it."),
    server(
        "MQTT-4.7.2-1",
        "A filter that begins with a wildcard does not match topics that begin with $.",
    ),
    server(
        "MQTT-4.7.3-1",
        "Names and filters have at least one character.",
    ),
    server("MQTT-4.7.3-2", "Names and filters hold no U+0000."),
    server(
        "MQTT-4.7.3-3",
        "Names and filters are UTF-8 strings of no more than 65,535 bytes.",
    ),
    server(
        "MQTT-4.7.3-4",
        "To match, nothing is normalised or replaced.",
    ),
];

const CASES: &[Case] = &[
    case!(wildcards_in_a_will_topic_are_refused, "MQTT-4.7.0-1"),
    case!(wildcards_are_for_filters, "MQTT-4.7.0-1"),
    case!(a_multi_level_wildcard_must_be_last, "MQTT-4.7.1-1"),
    case!(a_multi_level_wildcard_matches_all_below, "MQTT-4.7.1-1"),
    case!(a_single_level_wildcard_takes_a_level, "MQTT-4.7.1-2"),
    case!(a_single_level_wildcard_may_be_at_any_level, "MQTT-4.7.1-2"),
    case!(leading_wildcards_do_not_match_dollar_topics, "MQTT-4.7.2-1"),
    case!(a_topic_has_at_least_one_character, "MQTT-4.7.3-1"),
    case!(a_topic_has_no_null_character, "MQTT-4.7.3-2"),
    case!(long_topics_are_whole_or_refused, "MQTT-4.7.3-3"),
    case!(topics_are_compared_as_they_are, "MQTT-4.7.3-4"),
];

/// The filter is not granted: the SUBACK says failure, or the connection ends.
pub(super) async fn not_granted(stage: &Stage, filter: &str) -> Result<()> {
    let mut client = stage.client("client").await?;
    let subscribe = wire::subscribe(1, &[], &[(filter.as_bytes(), 0)]);
    client.send_packet(0x82, &subscribe).await?;
    match client.next().await? {
        Packet::SubAck(1, codes) if matches!(codes[..], [0x80..=0xff]) => Ok(()),
        Packet::Closed => Ok(()),
        Packet::Disconnect(0x80.., _) => client.closed().await,
        other => anyhow::bail!("{other:?} to {filter:?}"),
    }
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

async fn wildcards_in_a_will_topic_are_refused(stage: Stage) -> Result<()> {
    for name in ["#", "a/+", "a/#", "a+", "#a"] {
        let topic = stage.topic(name);
        let options = stage.options("client").will(&topic, b"gone", 0, false);
        let mut client = stage.open().await?;
        // The broker may close the connection without a word.
        if let Ok(connack) = client.connect(&options).await {
            ensure!(connack.code >= 0x80, "{connack:?} with a will on {topic}");
            client.closed().await?;
        }
    }
    Ok(())
}

async fn wildcards_are_for_filters(stage: Stage) -> Result<()> {
    let filters = ["a/+", "a/#"].map(|name| stage.topic(name));
    for filter in &filters {
        let mut subscriber = stage.subscriber("subscriber", &[(filter, 0)]).await?;
        let mut publisher = stage.client("publisher").await?;
        let mut bold = stage.client("bold").await?;
        bold.publish(filter, "message", 0, false).await?;
        cut(&mut bold).await?;
        let topic = stage.topic("a/b");
        publisher.publish(&topic, "message", 0, false).await?;
        subscriber.take(&topic).await?;
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    Ok(())
}

async fn a_multi_level_wildcard_must_be_last(stage: Stage) -> Result<()> {
    for name in [
        "#/a", "a/#/b", "a#", "a/b#", "#a", "a/#b", "##", "a/#/", "a/#/#", "+#",
    ] {
        not_granted(&stage, &stage.topic(name)).await?;
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
    Ok(())
}

async fn a_single_level_wildcard_may_be_at_any_level(stage: Stage) -> Result<()> {
    matches(&stage, "+", TREE, &["a", "b"]).await?;
    let two = ["a/", "a/b", "/", "/b", "b/b", "b/a"];
    matches(&stage, "+/+", TREE, &two).await?;
    matches(&stage, "+/b", TREE, &["a/b", "/b", "b/b"]).await?;
    matches(&stage, "a/+", TREE, &["a/", "a/b"]).await?;
    matches(&stage, "a/+/c", TREE, &["a/b/c", "a//c"]).await?;
    let deep = ["a/", "a/b", "a/b/c", "a/b/c/d", "a//c"];
    matches(&stage, "a/+/#", TREE, &deep).await
}

/// Neither what the broker itself has on `$` topics, nor what a client may publish there.
async fn leading_wildcards_do_not_match_dollar_topics(stage: Stage) -> Result<()> {
    let dollar = format!("${}/a", stage.client_id(""));
    let filters = [("#", 0), ("+/#", 0), ("+/a", 0), ("+/broker/#", 0)];
    let marker = stage.topic("last");
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let mut publisher = stage.client("publisher").await?;
    // It need not be allowed; then the connection may end.
    let mut bold = stage.client("bold").await?;
    bold.publish(&dollar, "message", 0, true).await?;
    let _ended: Result<()> = bold.ping().await;
    let mut late = stage.subscriber("late", &filters).await?;
    publisher.publish_done(&marker, "last", 0, false).await?;
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

async fn a_topic_has_no_null_character(stage: Stage) -> Result<()> {
    for topic in [&b"a\0"[..], b"\0", b"a/\0/b"] {
        let packets = [
            (0x32, wire::publish(topic, 1, &[], b"message")),
            (0x82, wire::subscribe(1, &[], &[(topic, 0)])),
            (0xa2, wire::unsubscribe(1, &[], &[topic])),
        ];
        for (first, body) in packets {
            let mut client = stage.client("client").await?;
            client.send_packet(first, &body).await?;
            cut(&mut client).await.context("U+0000")?;
        }
    }
    Ok(())
}

/// A broker may have a limit of its own, but must not cut a topic short.
async fn long_topics_are_whole_or_refused(stage: Stage) -> Result<()> {
    let mut subscriber = stage.client("subscriber").await?;
    let filter = stage.topic("a/+");
    subscriber.subscribe(&[(&filter, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let start = stage.topic("a/");
    for length in [200, 900, 0xffff] {
        let topic = format!("{start}{}", "x".repeat(length - start.len()));
        let mut client = stage.client("client").await?;
        client.publish(&topic, "message", 1, false).await?;
        let taken = matches!(client.next().await?, Packet::Ack(4, 1, 0));
        ensure!(taken || length > 900, "{length} bytes are too many");
        if taken {
            subscriber.take(&topic).await?;
        }
        let mut client = stage.client("client").await?;
        let subscribe = wire::subscribe(1, &[], &[(topic.as_bytes(), 0)]);
        client.send_packet(0x82, &subscribe).await?;
        let granted = matches!(client.next().await?, Packet::SubAck(1, codes) if codes == [0]);
        ensure!(granted || length > 900, "{length} bytes are too many");
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn topics_are_compared_as_they_are(stage: Stage) -> Result<()> {
    // Each is a topic of its own.
    let topics = [
        "name",
        "Name",
        "name ",
        " name",
        "/name",
        "name/",
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
        "\u{2f8}",
        "\u{10ffff}",
    ];
    let mut publisher = stage.client("publisher").await?;
    let mut subscribers = Vec::new();
    for (number, topic) in topics.iter().enumerate() {
        let filter = stage.topic(topic);
        let name = format!("subscriber{number}");
        let mut client = stage.client(&name).await?;
        // Characters that strings should not have may be refused.
        let subscribe = wire::subscribe(1, &[], &[(filter.as_bytes(), 0)]);
        client.send_packet(0x82, &subscribe).await?;
        let answer = client.next().await?;
        let granted = answer == Packet::SubAck(1, vec![0]);
        ensure!(granted || *topic == "\u{10ffff}", "{answer:?} to {topic:?}");
        if granted {
            subscribers.push((*topic, client));
        }
    }
    let taken: Vec<&str> = subscribers.iter().map(|(topic, _)| *topic).collect();
    for topic in taken {
        publisher
            .publish(&stage.topic(topic), topic.as_bytes(), 0, false)
            .await?;
    }
    for (topic, subscriber) in &mut subscribers {
        let message = subscriber.take(&stage.topic(topic)).await?;
        ensure!(message.payload == *topic, "{message:?}");
        stage.nothing_more(&mut publisher, subscriber).await?;
    }
    Ok(())
}
