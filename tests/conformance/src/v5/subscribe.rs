//! SUBSCRIBE: sections 3.8.1 to 3.8.3.

use anyhow::{Context, Result, ensure};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.8 SUBSCRIBE",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.8.1-1",
        "The flags of SUBSCRIBE are 0010; others end the connection.",
    ),
    server("MQTT-3.8.3-1", "Its topic filters are UTF-8 strings."),
    server(
        "MQTT-3.8.3-2",
        "It has at least one topic filter with its options.",
    ),
    server(
        "MQTT-3.8.3-3",
        "With No Local, a client's own messages are not sent to it.",
    ),
    server(
        "MQTT-3.8.3-4",
        "No Local on a shared subscription is a protocol error.",
    ),
    server(
        "MQTT-3.8.3-5",
        "Reserved bits of the options that are not 0 are malformed.",
    ),
];

const CASES: &[Case] = &[
    case!(subscribe_flags_are_0010, "MQTT-3.8.1-1"),
    case!(a_filter_to_subscribe_is_a_string, "MQTT-3.8.3-1"),
    case!(
        a_subscribe_without_filters_ends_the_connection,
        "MQTT-3.8.3-2"
    ),
    case!(own_messages_do_not_come_with_no_local, "MQTT-3.8.3-3"),
    case!(no_local_is_of_the_client_id, "MQTT-3.8.3-3"),
    case!(
        no_local_on_a_shared_subscription_ends_the_connection,
        "MQTT-3.8.3-4"
    ),
    case!(reserved_options_end_the_connection, "MQTT-3.8.3-5"),
];

const NO_LOCAL: u8 = 0x04;

async fn ends_the_connection(stage: &Stage, first: u8, body: &[u8]) -> Result<()> {
    let mut client = stage.client("client").await?;
    client.send_packet(first, body).await?;
    cut(&mut client)
        .await
        .with_context(|| format!("{first:02x} {body:02x?}"))
}

async fn subscribe_flags_are_0010(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let body = wire::subscribe(1, &[], &[(topic.as_bytes(), 0)]);
    for flags in (0..16).filter(|flags| *flags != 2) {
        ends_the_connection(&stage, 0x80 | flags, &body).await?;
    }
    Ok(())
}

async fn a_filter_to_subscribe_is_a_string(stage: Stage) -> Result<()> {
    for bad in [&b"a\xff"[..], b"\xed\xa0\x80", b"\xc0\x80"] {
        let body = wire::subscribe(1, &[], &[(bad, 0)]);
        ends_the_connection(&stage, 0x82, &body).await?;
        let body = wire::subscribe(1, &[], &[(b"good", 0), (bad, 0)]);
        ends_the_connection(&stage, 0x82, &body).await?;
    }
    Ok(())
}

async fn a_subscribe_without_filters_ends_the_connection(stage: Stage) -> Result<()> {
    let bodies = [
        vec![0, 1, 0],
        // Without its options.
        [&[0, 1, 0], &*wire::counted(b"a")].concat(),
        // Cut short.
        vec![0, 1, 0, 0, 9, b'a', 0],
    ];
    for body in bodies {
        ends_the_connection(&stage, 0x82, &body).await?;
    }
    Ok(())
}

async fn own_messages_do_not_come_with_no_local(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.client("client").await?;
    client.subscribe(&[(&topic, NO_LOCAL | 2)]).await?;
    let mut other = stage.subscriber("other", &[(&topic, 2)]).await?;
    for qos in 0..=2 {
        client.publish_done(&topic, "own", qos, false).await?;
        other.take(&topic).await?;
    }
    for qos in 0..=2 {
        other.publish_done(&topic, "other", qos, false).await?;
        let message = client.take(&topic).await?;
        ensure!(message.payload == "other", "{message:?}");
        other.take(&topic).await?;
    }
    stage.nothing_more(&mut other, &mut client).await?;
    // Without it, they come.
    client.subscribe(&[(&topic, 2)]).await?;
    client.publish_done(&topic, "own", 1, false).await?;
    client.take(&topic).await?;
    Ok(())
}

/// What a client published on one connection is its own on the next.
async fn no_local_is_of_the_client_id(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("client");
    let mut publisher = stage.client("publisher").await?;
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(&topic, NO_LOCAL | 1)]).await?;
    client.disconnect(0).await?;
    let mut client = stage.connected(&options).await?;
    client.publish_done(&topic, "own", 1, false).await?;
    publisher.publish_done(&topic, "other", 1, false).await?;
    let message = client.take(&topic).await?;
    ensure!(message.payload == "other", "{message:?}");
    stage.nothing_more(&mut publisher, &mut client).await
}

async fn no_local_on_a_shared_subscription_ends_the_connection(stage: Stage) -> Result<()> {
    let filter = format!("$share/group/{}", stage.topic("topic"));
    for qos in 0..=2 {
        let body = wire::subscribe(1, &[], &[(filter.as_bytes(), NO_LOCAL | qos)]);
        ends_the_connection(&stage, 0x82, &body).await?;
    }
    Ok(())
}

/// QoS 3 and Retain Handling 3 are errors of the same kind.
async fn reserved_options_end_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    for options in [0x40, 0x80, 0xc1, 0x03, 0x30] {
        let body = wire::subscribe(1, &[], &[(topic, options)]);
        ends_the_connection(&stage, 0x82, &body).await?;
        let body = wire::subscribe(1, &[], &[(b"good", 0), (topic, options)]);
        ends_the_connection(&stage, 0x82, &body).await?;
    }
    Ok(())
}
