//! What a session keeps: sections 4.1 and 4.4.

use anyhow::{Result, ensure};
use partyline_testkit::Packet;

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const STATE: Chapter = Chapter {
    title: "4.1 Storing state",
    statements: &[
        server(
            "MQTT-4.1.0-1",
            "The state of a session is stored for as long as the session lasts.",
        ),
        server(
            "MQTT-4.1.0-2",
            "A session lasts at least as long as its connection.",
        ),
    ],
    cases: STATE_CASES,
};

pub(super) const RETRY: Chapter = Chapter {
    title: "4.4 Sending again",
    statements: RETRY_STATEMENTS,
    cases: RETRY_CASES,
};

const RETRY_STATEMENTS: &[Statement] = &[server(
    "MQTT-4.4.0-1",
    "Where a session is resumed, unacknowledged PUBLISH and PUBREL packets are sent again with their identifiers.",
)];

const STATE_CASES: &[Case] = &[
    case!(every_part_of_a_session_is_kept, "MQTT-4.1.0-1"),
    case!(a_session_lasts_as_long_as_its_connection, "MQTT-4.1.0-2"),
];

const RETRY_CASES: &[Case] = &[
    case!(what_is_unacknowledged_is_sent_again, "MQTT-4.4.0-1"),
    case!(what_is_acknowledged_is_not_sent_again, "MQTT-4.4.0-1"),
];

async fn every_part_of_a_session_is_kept(stage: Stage) -> Result<()> {
    let (inbound, outbound) = (stage.topic("inbound"), stage.topic("outbound"));
    let options = stage.lasting("client");
    let mut other = stage.subscriber("other", &[(&inbound, 2)]).await?;
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(&outbound, 2)]).await?;
    // A message of the client that it has not released yet.
    client
        .send_publish(500, &inbound, b"inbound", 2, false, false, &[])
        .await?;
    client.acked(5, 500).await?;
    // One sent to it and not acknowledged, and one of which it has acknowledged the first part.
    other.publish_done(&outbound, "one", 1, false).await?;
    let one = client.publish_on(&outbound).await?;
    other.publish_done(&outbound, "two", 2, false).await?;
    let two = client.publish_on(&outbound).await?;
    client.ack(5, two.id).await?;
    client.acked(6, two.id).await?;
    drop(client);
    // One that waits for it.
    other.publish_done(&outbound, "three", 1, false).await?;

    let mut client = stage.connected(&options).await?;
    client
        .send_publish(500, &inbound, b"inbound", 2, false, true, &[])
        .await?;
    client.acked(5, 500).await?;
    client.ack(6, 500).await?;
    client.acked(7, 500).await?;
    let again = client.take(&outbound).await?;
    ensure!(again.dup && again.id == one.id, "{again:?}, not {one:?}");
    client.acked(6, two.id).await?;
    client.ack(7, two.id).await?;
    let three = client.take(&outbound).await?;
    ensure!(three.payload == "three", "{three:?}");
    // Its subscription.
    other.publish_done(&outbound, "four", 1, false).await?;
    let four = client.take(&outbound).await?;
    ensure!(four.payload == "four", "{four:?}");
    // The client's message was delivered once.
    other.take(&inbound).await?;
    stage.nothing_more(&mut client, &mut other).await
}

async fn a_session_lasts_as_long_as_its_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = stage.subscriber("client", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for round in 0..20 {
        // Sessions of others come and go.
        let other = stage.subscriber("other", &[(&topic, 1)]).await?;
        if round % 2 == 0 {
            other.disconnect(0).await?;
        }
        publisher.publish_done(&topic, "message", 1, false).await?;
        client.take(&topic).await?;
    }
    Ok(())
}

async fn what_is_unacknowledged_is_sent_again(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    for (payload, qos) in [("one", 1), ("two", 2), ("three", 2)] {
        publisher.publish_done(&topic, payload, qos, false).await?;
    }
    let one = subscriber.publish_on(&topic).await?;
    let two = subscriber.publish_on(&topic).await?;
    let three = subscriber.publish_on(&topic).await?;
    subscriber.ack(5, three.id).await?;
    subscriber.acked(6, three.id).await?;
    // Twice, as nothing is acknowledged in between.
    for _ in 0..2 {
        drop(subscriber);
        subscriber = stage.connected(&options).await?;
        for original in [&one, &two] {
            let again = subscriber.publish_on(&topic).await?;
            ensure!(again.id == original.id, "{again:?}, not {original:?}");
            ensure!(again.payload == original.payload, "{again:?}");
            ensure!(again.qos == original.qos && again.dup, "{again:?}");
        }
        subscriber.acked(6, three.id).await?;
    }
    subscriber.acknowledge(&one).await?;
    subscriber.acknowledge(&two).await?;
    subscriber.ack(7, three.id).await?;
    stage.nothing_more(&mut publisher, &mut subscriber).await
}

async fn what_is_acknowledged_is_not_sent_again(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let options = stage.lasting("subscriber");
    let mut publisher = stage.client("publisher").await?;
    let mut subscriber = stage.connected(&options).await?;
    subscriber.subscribe(&[(&topic, 2)]).await?;
    for qos in [1, 2] {
        publisher
            .publish_done(&topic, "message", qos, false)
            .await?;
        subscriber.take(&topic).await?;
    }
    subscriber.ping().await?;
    drop(subscriber);
    let mut subscriber = stage.connected(&options).await?;
    subscriber.ping().await?;
    let first: Vec<&Packet> = subscriber.unasked().collect();
    ensure!(first.is_empty(), "{first:?}");
    stage.nothing_more(&mut publisher, &mut subscriber).await
}
