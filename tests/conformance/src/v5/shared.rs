//! Shared subscriptions: section 4.8.

use anyhow::{Context, Result, bail, ensure};
use partyline_testkit::{Packet, Publish, RawClient};

use super::topics::not_granted;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, NotOffered, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "4.8 Shared subscriptions",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-4.8.2-1",
        "A shared subscription's filter is $share/, a share name of at least one character, and what follows.",
    ),
    server(
        "MQTT-4.8.2-2",
        "The share name has none of / + #, and after it come / and a topic filter.",
    ),
    server(
        "MQTT-4.8.2-3",
        "Each message keeps to the QoS that its receiver was granted.",
    ),
    server(
        "MQTT-4.8.2-4",
        "The delivery of a QoS 2 message that began is completed when the client is back.",
    ),
    server(
        "MQTT-4.8.2-5",
        "If that client's session ends before, the message is sent to nobody else.",
    ),
    server(
        "MQTT-4.8.2-6",
        "A message refused with 0x80 or more is discarded, not sent to another.",
    ),
];

const CASES: &[Case] = &[
    case!(a_share_name_is_needed, "MQTT-4.8.2-1"),
    case!(one_of_a_group_gets_each_message, "MQTT-4.8.2-1"),
    case!(a_share_name_has_no_wildcards, "MQTT-4.8.2-2"),
    case!(a_shared_message_keeps_to_the_granted_qos, "MQTT-4.8.2-3"),
    case!(
        a_shared_message_is_completed_by_its_receiver,
        "MQTT-4.8.2-4"
    ),
    case!(
        a_shared_message_ends_with_its_receivers_session,
        "MQTT-4.8.2-5"
    ),
    case!(a_refused_shared_message_goes_to_nobody_else, "MQTT-4.8.2-6"),
];

fn shared(stage: &Stage, name: &str) -> String {
    format!("$share/group/{}", stage.topic(name))
}

/// A broker need not offer them, but must say so.
async fn offered(stage: &Stage) -> Result<()> {
    let (_client, connack) = stage.answered(&stage.options("first")).await?;
    match connack.properties.get(0x2a).map(|value| &value[..]) {
        Some([0]) => Err(NotOffered("shared subscriptions").into()),
        _ => Ok(()),
    }
}

async fn a_share_name_is_needed(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    not_granted(&stage, &format!("$share//{topic}")).await?;
    not_granted(&stage, "$share/").await?;
    not_granted(&stage, "$share//").await
}

/// The next message of whichever of them has one.
async fn taken<'a>(
    members: impl IntoIterator<Item = &'a mut RawClient>,
) -> Result<Vec<(usize, Publish)>> {
    let mut messages = Vec::new();
    for (number, member) in members.into_iter().enumerate() {
        member.ping().await?;
        while member.unasked().next().is_some() {
            let Packet::Publish(message) = member.next().await? else {
                bail!("something other than a message")
            };
            member.acknowledge(&message).await?;
            messages.push((number, message));
        }
    }
    Ok(messages)
}

async fn one_of_a_group_gets_each_message(stage: Stage) -> Result<()> {
    offered(&stage).await?;
    let topic = stage.topic("a/b");
    let filter = shared(&stage, "a/+");
    let mut members = Vec::new();
    for name in ["one", "two", "three"] {
        members.push(stage.subscriber(name, &[(&filter, 1)]).await?);
    }
    // Others, of another group and of none, get their own.
    let other_group = filter.replace("/group/", "/Group/");
    let mut other = stage.subscriber("other", &[(&other_group, 1)]).await?;
    let mut plain = stage.subscriber("plain", &[(&topic, 1)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for number in 0..12_u8 {
        publisher.publish_done(&topic, [number], 1, false).await?;
        for client in [&mut other, &mut plain] {
            let message = client.take(&topic).await?;
            ensure!(message.payload == [number][..], "{message:?}");
        }
        // By now it lies in the session of its receiver, whose answers come behind it.
        let messages = taken(&mut members).await?;
        let [(_, message)] = &*messages else {
            bail!("{messages:?} of one")
        };
        ensure!(message.payload == [number][..], "{message:?}");
    }
    // An end of one of them, in each way.
    members.remove(1).disconnect(0).await?;
    for leaving in members.iter_mut().take(1) {
        leaving.unsubscribe(&[&filter]).await?;
    }
    for number in 0..4_u8 {
        publisher.publish_done(&topic, [number], 1, false).await?;
        let messages = taken(&mut members).await?;
        ensure!(matches!(messages[..], [(1, _)]), "{messages:?}");
    }
    Ok(())
}

async fn a_share_name_has_no_wildcards(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for name in ["+", "#", "gr+oup", "group#", "+group"] {
        not_granted(&stage, &format!("$share/{name}/{topic}")).await?;
    }
    // Without a topic filter behind it.
    for filter in ["$share/group", "$share/group/"] {
        not_granted(&stage, filter).await?;
    }
    // The filter may have wildcards, at their places only.
    for name in ["a/#/b", "a+"] {
        not_granted(&stage, &shared(&stage, name)).await?;
    }
    Ok(())
}

async fn a_shared_message_keeps_to_the_granted_qos(stage: Stage) -> Result<()> {
    offered(&stage).await?;
    let topic = stage.topic("topic");
    let filter = shared(&stage, "topic");
    let mut members = Vec::new();
    for qos in 0..=2 {
        let name = format!("qos{qos}");
        members.push(stage.subscriber(&name, &[(&filter, qos)]).await?);
    }
    let mut publisher = stage.client("publisher").await?;
    for qos in 0..=2 {
        for _ in 0..6 {
            publisher
                .publish_done(&topic, "message", qos, false)
                .await?;
            let messages = taken(&mut members).await?;
            for (granted, message) in messages {
                let lesser = qos.min(u8::try_from(granted)?);
                ensure!(message.qos == lesser, "{message:?} at {granted}");
            }
        }
    }
    Ok(())
}

/// A lone member has a QoS 2 message under way; then there is another member.
async fn under_way(
    stage: &Stage,
    publisher: &mut RawClient,
    lasting: bool,
) -> Result<(RawClient, Publish, RawClient)> {
    offered(stage).await?;
    let filter = shared(stage, "topic");
    let topic = stage.topic("topic");
    let options = if lasting {
        stage.lasting("one")
    } else {
        stage.options("one")
    };
    let mut one = stage.connected(&options).await?;
    let granted = one.subscribe(&[(&filter, 2)]).await?;
    ensure!(granted == [2], "{granted:02x?}");
    publisher.publish_done(&topic, "message", 2, false).await?;
    let message = one.publish_on(&topic).await?;
    let two = stage.subscriber("two", &[(&filter, 2)]).await?;
    Ok((one, message, two))
}

async fn a_shared_message_is_completed_by_its_receiver(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let (one, message, mut two) = under_way(&stage, &mut publisher, true).await?;
    drop(one);
    stage.nothing_more(&mut publisher, &mut two).await?;
    let mut one = stage.connected(&stage.lasting("one")).await?;
    let again = one.publish_on(&message.topic).await;
    let again = again.context("the message that was under way")?;
    ensure!(again.id == message.id && again.dup, "{again:?}");
    one.acknowledge(&again).await?;
    stage.nothing_more(&mut publisher, &mut one).await?;
    stage.nothing_more(&mut publisher, &mut two).await
}

async fn a_shared_message_ends_with_its_receivers_session(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let (one, _, mut two) = under_way(&stage, &mut publisher, false).await?;
    one.disconnect(0).await?;
    stage.nothing_more(&mut publisher, &mut two).await?;
    // A clean start ends a session, too.
    two.disconnect(0).await?;
    let (one, _, mut two) = under_way(&stage, &mut publisher, true).await?;
    drop(one);
    let mut one = stage.client("one").await?;
    stage.nothing_more(&mut publisher, &mut one).await?;
    stage.nothing_more(&mut publisher, &mut two).await
}

async fn a_refused_shared_message_goes_to_nobody_else(stage: Stage) -> Result<()> {
    let mut publisher = stage.client("publisher").await?;
    let (mut one, message, mut two) = under_way(&stage, &mut publisher, true).await?;
    let [high, low] = message.id.to_be_bytes();
    one.send_packet(0x50, &[high, low, 0x83]).await?;
    stage.nothing_more(&mut publisher, &mut one).await?;
    stage.nothing_more(&mut publisher, &mut two).await?;
    // At QoS 1 as well.
    two.disconnect(0).await?;
    publisher
        .publish_done(&message.topic, "message", 1, false)
        .await?;
    let message = one.publish_on(&message.topic).await?;
    let filter = shared(&stage, "topic");
    let mut two = stage.subscriber("two", &[(&filter, 2)]).await?;
    let [high, low] = message.id.to_be_bytes();
    one.send_packet(0x40, &[high, low, 0x80]).await?;
    stage.nothing_more(&mut publisher, &mut one).await?;
    stage.nothing_more(&mut publisher, &mut two).await
}
