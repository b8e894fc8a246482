//! Retained messages.

use std::collections::BTreeMap;

use anyhow::ensure;
use partyline_system_tests::Server;
use partyline_testkit::{Packet, Version};

use super::{clean, connect, kill, on_both};

on_both! {
    the_last_one_that_was_acknowledged_is_there,
}

const TOPICS: u32 = 20;

/// What a new subscriber gets.
async fn retained(server: &Server) -> anyhow::Result<BTreeMap<String, u32>> {
    let (mut reader, _) = connect(server, &clean(server, Version::V5, "reader")).await?;
    reader.subscribe(&[("r/#", 1)]).await?;
    reader.ping().await?;
    reader.ping().await?;
    let mut found = BTreeMap::new();
    for packet in reader.unasked() {
        if let Packet::Publish(message) = packet {
            ensure!(message.retain);
            let number = std::str::from_utf8(&message.payload)?.parse()?;
            found.insert(message.topic.clone(), number);
        }
    }
    reader.disconnect(0).await?;
    Ok(found)
}

/// Topics are written, written over and emptied. What was acknowledged is there; what was on its way
/// may be.
async fn the_last_one_that_was_acknowledged_is_there(mut server: Server) -> anyhow::Result<()> {
    let mut expected = BTreeMap::<String, u32>::new();
    let mut number = 0_u32;
    for run in 0..4_u32 {
        let (mut publisher, _) = connect(&server, &clean(&server, Version::V311, "pub")).await?;
        let mut on_the_way = BTreeMap::<String, Option<u32>>::new();
        for step in 0..60 + 17 * run {
            number += 1;
            let topic = format!("r/{}", number * 7 % TOPICS);
            let value = (!number.is_multiple_of(5)).then_some(number);
            let payload = value.map_or_else(String::new, |value| value.to_string());
            let qos = if number.is_multiple_of(3) { 2 } else { 1 };
            let id = publisher.publish(&topic, &payload, qos, true).await?;
            if step + 1 == 60 + 17 * run {
                on_the_way.insert(topic, value);
                break;
            }
            let kind = if qos == 2 { 5 } else { 4 };
            publisher.acked(kind, id).await?;
            if qos == 2 {
                publisher.ack(6, id).await?;
                publisher.acked(7, id).await?;
            }
            match value {
                Some(value) => expected.insert(topic, value),
                None => expected.remove(&topic),
            };
        }
        kill(&mut server).await?;
        let found = retained(&server).await?;
        for n in 0..TOPICS {
            let topic = format!("r/{n}");
            let (was, now) = (expected.get(&topic).copied(), found.get(&topic).copied());
            let written = on_the_way.get(&topic);
            ensure!(
                now == was || written == Some(&now),
                "{topic} in run {run}: {was:?} was acknowledged, {written:?} was on its way, {now:?} is there"
            );
        }
        expected = found;
    }
    ensure!(!expected.is_empty());
    server.discard().await
}
