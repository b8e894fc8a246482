//! Topic, format and expiry of a PUBLISH: sections 3.3.2.1 to 3.3.2.3.3.

use anyhow::{Context, Result, ensure};
use partyline_testkit::Publish;

use super::clock::pass;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.3.2 Topic, format and expiry of PUBLISH",
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
        "A message that the server sends has a topic that matches the subscription.",
    ),
    server(
        "MQTT-3.3.2-4",
        "The Payload Format Indicator is passed on unaltered.",
    ),
    server(
        "MQTT-3.3.2-5",
        "A message whose expiry interval has passed before its delivery began is deleted.",
    ),
    server(
        "MQTT-3.3.2-6",
        "The expiry interval that is sent is the one received less the time of waiting.",
    ),
];

const CASES: &[Case] = &[
    case!(a_topic_name_is_a_string, "MQTT-3.3.2-1"),
    case!(a_topic_with_wildcards_ends_the_connection, "MQTT-3.3.2-2"),
    case!(only_what_matches_is_sent, "MQTT-3.3.2-3"),
    case!(the_payload_format_is_passed_on, "MQTT-3.3.2-4"),
    case!(
        an_expired_message_is_not_delivered,
        "MQTT-3.3.2-5",
        "MQTT-3.3.2-6"
    ),
    case!(an_expired_retained_message_is_gone, "MQTT-3.3.2-5"),
];

async fn a_topic_name_is_a_string(stage: Stage) -> Result<()> {
    let bodies = [
        ("not UTF-8", wire::publish(b"a\xff", 1, &[], b"")),
        ("nothing at all", vec![]),
        ("half a length", vec![0]),
        ("cut short", vec![0, 9, b'a']),
        (
            "without a topic or an alias",
            wire::publish(b"", 1, &[], b""),
        ),
    ];
    for (what, body) in bodies {
        let mut client = stage.client("client").await?;
        client.send_packet(0x32, &body).await?;
        cut(&mut client).await.context(what)?;
    }
    Ok(())
}

async fn a_topic_with_wildcards_ends_the_connection(stage: Stage) -> Result<()> {
    let filter = stage.topic("a/#");
    let mut subscriber = stage.subscriber("subscriber", &[(&filter, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for name in ["a/#", "a/+", "a/+/b", "a/b+", "a/#b"] {
        for (first, id) in [(0x30, &[][..]), (0x32, &[0, 1])] {
            let topic = wire::counted(stage.topic(name).as_bytes());
            let mut client = stage.client("client").await?;
            let body = [&*topic, id, &[0], b"message"].concat();
            client.send_packet(first, &body).await?;
            cut(&mut client).await.context(name)?;
        }
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn only_what_matches_is_sent(stage: Stage) -> Result<()> {
    let filters = ["a/b", "c/+", "d/#", "e/+/f"].map(|name| stage.topic(name));
    let filters: Vec<_> = filters.iter().map(|filter| (&**filter, 1)).collect();
    let mut subscriber = stage.subscriber("subscriber", &filters).await?;
    let mut publisher = stage.client("publisher").await?;
    let topics = [
        ("a/b", true),
        ("a/b/c", false),
        ("a", false),
        ("A/b", false),
        ("c/x", true),
        ("c", false),
        ("c/x/y", false),
        ("d", true),
        ("d/x/y", true),
        ("dd", false),
        ("e/x/f", true),
        ("e/x/g", false),
        ("e/f", false),
    ];
    for (name, matches) in topics {
        let topic = stage.topic(name);
        publisher.publish_done(&topic, "message", 1, false).await?;
        if matches {
            subscriber.take(&topic).await?;
        }
    }
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn the_payload_format_is_passed_on(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut one = stage.subscriber("one", &[(&topic, 0)]).await?;
    let mut two = stage.subscriber("two", &[(&topic, 2)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for format in [Some(1), Some(0), None] {
        let properties: Vec<_> = { format.iter() }
            .map(|format| (0x01, vec![*format].into()))
            .collect();
        publisher
            .send_publish(9, &topic, b"text", 1, true, false, &properties)
            .await?;
        publisher.acked(4, 9).await?;
        let mut late = stage.subscriber("late", &[(&topic, 1)]).await?;
        for subscriber in [&mut one, &mut two, &mut late] {
            let message = subscriber.take(&topic).await?;
            let came = message.properties.get(0x01).map(|value| value.to_vec());
            // The standard says that 0 and none are equivalent.
            let same = came.unwrap_or(vec![0]) == [format.unwrap_or_default()];
            ensure!(same, "{message:?}, not {format:?}");
        }
    }
    Ok(())
}

fn expiry(seconds: u8) -> [partyline_testkit::Property; 1] {
    [(0x02, vec![0, 0, 0, seconds].into())]
}

fn left(message: &Publish) -> Result<u32> {
    let left = message.properties.get(0x02);
    let left = left.with_context(|| format!("no expiry interval in {message:?}"))?;
    Ok(u32::from_be_bytes(left[..].try_into()?))
}

async fn an_expired_message_is_not_delivered(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    // At once, nearly the whole interval is left.
    let mut publisher = stage.client("publisher").await?;
    publisher
        .send_publish(8, &topic, b"at once", 1, false, false, &expiry(100))
        .await?;
    publisher.acked(4, 8).await?;
    let message = subscriber.take(&topic).await?;
    let now = left(&message)?;
    ensure!((99..=100).contains(&now), "{now} s left of 100");
    subscriber.ping().await?;
    subscriber.disconnect(0).await?;
    for (id, qos, seconds) in [(10, 1, 1), (11, 2, 1), (12, 1, 100)] {
        let payload = seconds.to_string();
        publisher
            .send_publish(
                id,
                &topic,
                payload.as_bytes(),
                qos,
                false,
                false,
                &expiry(seconds),
            )
            .await?;
        publisher.acked(if qos == 1 { 4 } else { 5 }, id).await?;
    }
    publisher.ack(6, 11).await?;
    publisher.acked(7, 11).await?;
    pass(&stage, 3).await?;
    let mut subscriber = stage.connected(&options).await?;
    let message = subscriber.take(&topic).await?;
    ensure!(message.payload == "100", "expired: {message:?}");
    let now = left(&message)?;
    ensure!((80..=98).contains(&now), "{now} s left of 100");
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn an_expired_retained_message_is_gone(stage: Stage) -> Result<()> {
    let (short, long) = (stage.topic("a/short"), stage.topic("a/long"));
    let mut publisher = stage.client("publisher").await?;
    for (topic, seconds) in [(&short, 1), (&long, 100)] {
        publisher
            .send_publish(9, topic, b"kept", 1, true, false, &expiry(seconds))
            .await?;
        publisher.acked(4, 9).await?;
    }
    pass(&stage, 3).await?;
    let filter = stage.topic("a/+");
    let mut subscriber = stage.subscriber("subscriber", &[(&filter, 1)]).await?;
    let message = subscriber.take(&long).await?;
    let now = left(&message)?;
    ensure!((80..=98).contains(&now), "{now} s left of 100");
    stage.nothing_more(&mut publisher, &mut subscriber).await
}
