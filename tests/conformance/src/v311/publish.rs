//! PUBLISH, its topic and what follows it: sections 3.3.2 to 3.3.5.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Packet;

use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.2 PUBLISH: topic and response",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.3.2-1",
        "The topic name is the first field, a UTF-8 string.",
    ),
    server("MQTT-3.3.2-2", "The topic name has no wildcards."),
    server(
        "MQTT-3.3.2-3",
        "The topic name towards a subscriber matches its filter.",
    ),
    server(
        "MQTT-3.3.4-1",
        "A PUBLISH is answered as its QoS has it: not at all, by PUBACK or by PUBREC.",
    ),
    server(
        "MQTT-3.3.5-1",
        "Where subscriptions overlap, the message comes with the highest QoS of those that match.",
    ),
    server(
        "MQTT-3.3.5-2",
        "A PUBLISH that is not allowed is acknowledged all the same, or ends the connection.",
    ),
];

const CASES: &[Case] = &[
    case!(a_publish_without_a_topic_is_malformed, "MQTT-3.3.2-1"),
    case!(
        a_wildcard_in_a_topic_name_ends_the_connection,
        "MQTT-3.3.2-2",
        "MQTT-4.7.1-1"
    ),
    case!(a_message_comes_under_a_topic_that_matches, "MQTT-3.3.2-3"),
    case!(a_publish_is_answered_as_its_qos_has_it, "MQTT-3.3.4-1"),
    case!(
        overlapping_subscriptions_give_the_highest_qos,
        "MQTT-3.3.5-1"
    ),
    case!(
        a_forbidden_publish_is_acknowledged_or_ends_the_connection,
        "MQTT-3.3.5-2"
    ),
];

async fn a_publish_without_a_topic_is_malformed(stage: Stage) -> Result<()> {
    let bodies: [&[u8]; 5] = [
        b"",
        b"\0",
        b"\0\x05topi",
        b"\xff\xfftopic",
        b"\0\x05topic\0",
    ];
    for body in bodies {
        let mut client = stage.client("client").await?;
        client.send_packet(0x32, body).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("{body:?}"))?;
    }
    Ok(())
}

async fn a_wildcard_in_a_topic_name_ends_the_connection(stage: Stage) -> Result<()> {
    let all = stage.topic("#");
    let mut subscriber = stage.subscriber("subscriber", &[(&all, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for name in ["#", "+", "a/+/b", "a/#", "a+", "a#b"] {
        for qos in 0..=2 {
            let mut client = stage.client("client").await?;
            client
                .publish(&stage.topic(name), "message", qos, false)
                .await?;
            cut(&mut client).await.context(name)?;
        }
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn a_message_comes_under_a_topic_that_matches(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let published = [stage.topic("a/x"), stage.topic("b/x/y"), stage.topic("c")];
    let filters = [stage.topic("a/+"), stage.topic("b/#"), stage.topic("c")];
    for (topic, filter) in published.iter().zip(&filters) {
        let mut subscriber = stage.subscriber("subscriber", &[(filter, 0)]).await?;
        for topic in &published {
            publisher.publish(topic, "message", 0, false).await?;
        }
        // No other case's subscriber may use a broker that renames topics.
        subscriber.take(topic).await?;
        stage.nothing_more(&mut publisher, &mut subscriber).await?;
    }
    Ok(())
}

async fn a_publish_is_answered_as_its_qos_has_it(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    client.publish(&topic, "message", 0, false).await?;
    client.send_packet(0xc0, &[]).await?;
    let answer = client.next().await?;
    ensure!(answer == Packet::PingResp, "{answer:?} at QoS 0");
    for (qos, kind) in [(1, 4), (2, 5)] {
        let id = client.publish(&topic, "message", qos, false).await?;
        let answer = client.next().await?;
        ensure!(
            answer == Packet::Ack(kind, id, 0),
            "{answer:?} at QoS {qos}"
        );
    }
    Ok(())
}

async fn overlapping_subscriptions_give_the_highest_qos(stage: Stage) -> Result<()> {
    let topic = stage.topic("a/b");
    let filters = [stage.topic("a/#"), stage.topic("+/b"), stage.topic("a/b")];
    let mut publisher = stage.client("publisher").await?;
    for granted in [[0, 1, 2], [2, 0, 0], [0, 2, 1], [1, 1, 0]] {
        let pairs: Vec<_> = filters.iter().map(|one| &**one).zip(granted).collect();
        let mut subscriber = stage.subscriber("subscriber", &pairs).await?;
        publisher.publish_done(&topic, "message", 2, false).await?;
        let mut highest = subscriber.take(&topic).await?.qos;
        // Copies for the other subscriptions may follow.
        subscriber.ping().await?;
        subscriber.ping().await?;
        for packet in subscriber.unasked() {
            if let Packet::Publish(message) = packet {
                highest = highest.max(message.qos);
            }
        }
        let expected = granted.iter().max().copied();
        ensure!(Some(highest) == expected, "{granted:?} gave {highest}");
    }
    Ok(())
}

/// On `$SYS`, where few brokers let clients publish. One that does acknowledges as well.
async fn a_forbidden_publish_is_acknowledged_or_ends_the_connection(stage: Stage) -> Result<()> {
    for (qos, kind) in [(1, 4), (2, 5)] {
        let mut client = stage.client("client").await?;
        let id = client
            .publish("$SYS/conformance", "message", qos, false)
            .await?;
        let answer = client.next().await?;
        let fits = [Packet::Ack(kind, id, 0), Packet::Closed].contains(&answer);
        ensure!(fits, "{answer:?} at QoS {qos}");
    }
    Ok(())
}
