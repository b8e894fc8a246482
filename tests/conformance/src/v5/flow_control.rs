//! Flow control: section 4.9.

use anyhow::{Result, ensure};
use partyline_testkit::RawClient;

use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.9 Flow control",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.9.0-1",
        "The first send quota is above 0 and no more than the Receive Maximum.",
    ),
    server(
        "MQTT-4.9.0-2",
        "Each PUBLISH above QoS 0 takes one of the quota, and at 0 no more is sent.",
    ),
    server(
        "MQTT-4.9.0-3",
        "All other packets are handled and answered even at 0.",
    ),
];

const CASES: &[Case] = &[
    case!(
        the_first_quota_is_the_receive_maximum_at_most,
        "MQTT-4.9.0-1",
        "MQTT-4.9.0-2"
    ),
    case!(
        a_quota_comes_back_with_the_last_acknowledgement,
        "MQTT-4.9.0-2"
    ),
    case!(without_quota_all_else_goes_on, "MQTT-4.9.0-3"),
];

/// A client with this Receive Maximum, for whose absent session some messages wait.
async fn flooded(stage: &Stage, most: u8, topic: &str) -> Result<RawClient> {
    let options = stage.lasting("client").property(0x21, vec![0, most]);
    let mut client = stage.connected(&options).await?;
    client.subscribe(&[(topic, 2)]).await?;
    client.disconnect(0).await?;
    let mut publisher = stage.client("publisher").await?;
    for number in 0..10_u8 {
        let qos = 1 + number % 2;
        publisher.publish_done(topic, [number], qos, false).await?;
    }
    stage.connected(&options).await
}

async fn under_way(client: &mut RawClient) -> Result<usize> {
    client.ping().await?;
    client.ping().await?;
    Ok(client.unasked().count())
}

async fn the_first_quota_is_the_receive_maximum_at_most(stage: Stage) -> Result<()> {
    for most in [1, 2, 5] {
        let topic = stage.topic(&format!("most{most}"));
        let mut client = flooded(&stage, most, &topic).await?;
        client.publish_on(&topic).await?;
        let came = 1 + under_way(&mut client).await?;
        ensure!(came <= usize::from(most), "{came} at {most}");
        // Another connection has a quota of its own.
        drop(client);
        let options = stage.lasting("client").property(0x21, vec![0, 3]);
        let mut client = stage.connected(&options).await?;
        client.publish_on(&topic).await?;
        let came = 1 + under_way(&mut client).await?;
        ensure!(came <= 3, "{came} at 3, after {most}");
        drop(client);
        stage.client("client").await?.disconnect(0).await?;
    }
    Ok(())
}

async fn a_quota_comes_back_with_the_last_acknowledgement(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = flooded(&stage, 1, &topic).await?;
    for number in 0..10_u8 {
        let message = client.publish_on(&topic).await?;
        ensure!(message.payload == [number][..], "{message:?}");
        let came = under_way(&mut client).await?;
        ensure!(came == 0, "{came} beside {message:?}");
        if message.qos == 2 && number % 4 == 1 {
            // A refusal gives it back at once.
            let [high, low] = message.id.to_be_bytes();
            client.send_packet(0x50, &[high, low, 0x83]).await?;
        } else if message.qos == 2 {
            client.ack(5, message.id).await?;
            client.acked(6, message.id).await?;
            // Not with the PUBREC, but with the PUBCOMP.
            let came = under_way(&mut client).await?;
            ensure!(came == 0, "{came} before the PUBCOMP");
            client.ack(7, message.id).await?;
        } else {
            client.puback(message.id).await?;
        }
    }
    Ok(())
}

async fn without_quota_all_else_goes_on(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let mut client = flooded(&stage, 1, &topic).await?;
    let message = client.publish_on(&topic).await?;
    let other = stage.topic("other");
    client.subscribe(&[(&other, 0)]).await?;
    for qos in 0..=2 {
        client.publish_done(&other, "own", qos, false).await?;
    }
    client.unsubscribe(&[&other]).await?;
    client.ping().await?;
    client.acknowledge(&message).await?;
    let next = client.publish_on(&topic).await?;
    ensure!(next.payload == [1][..], "{next:?}");
    client.disconnect(0).await
}
