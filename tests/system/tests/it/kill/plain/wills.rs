//! Delayed wills.

use anyhow::ensure;
use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, Packet, RawClient, Version};

use super::{connect, kept, kill, on_both};

on_both! {
    a_delayed_will_is_published_once_when_it_is_due,
    a_will_of_who_came_back_is_not_published,
    a_will_of_who_was_connected_is_due_at_the_start,
}

const WILL_DELAY: u8 = 0x18;

/// A session with a will that is due so many seconds after it is gone.
fn mortal(server: &Server, id: &'static str, delay: u32) -> ConnectOptions {
    kept(server, Version::V5, id)
        .will(&format!("will/{id}"), id.as_bytes(), 2, false)
        .will_property(WILL_DELAY, delay.to_be_bytes().to_vec())
}

/// Somebody who hears of every will, also of those that come while nobody listens.
async fn watcher(server: &Server) -> anyhow::Result<RawClient> {
    let (mut watcher, connack) = connect(server, &kept(server, Version::V5, "watcher")).await?;
    if !connack.session_present {
        watcher.subscribe(&[("will/#", 2)]).await?;
    }
    // That it is done with a message may not have been on disk: then it is asked once more.
    watcher.ping().await?;
    let asked = watcher.unasked().filter_map(|packet| match packet {
        Packet::Ack(6, id, 0) => Some(*id),
        _ => None,
    });
    for id in asked.collect::<Vec<_>>() {
        watcher.acked(6, id).await?;
        watcher.ack(7, id).await?;
    }
    Ok(watcher)
}

/// Loses its connection, and waits until the server knows.
async fn lose(
    server: &Server,
    watcher: &mut RawClient,
    id: &'static str,
    delay: u32,
) -> anyhow::Result<()> {
    let (client, _) = connect(server, &mortal(server, id, delay)).await?;
    drop(client);
    // Another will, due at once, that is lost later.
    let (mark, _) = connect(server, &mortal(server, "mark", 0)).await?;
    drop(mark);
    watcher.take("will/mark").await?;
    Ok(())
}

async fn a_delayed_will_is_published_once_when_it_is_due(mut server: Server) -> anyhow::Result<()> {
    let mut watching = watcher(&server).await?;
    lose(&server, &mut watching, "late", 4).await?;
    watching.quiet().await?;
    kill(&mut server).await?;
    let mut watching = watcher(&server).await?;
    let will = watching.take("will/late").await?;
    ensure!(will.payload == "late" && will.qos == 2);
    // It is gone from the disk with its publication.
    kill(&mut server).await?;
    let mut watching = watcher(&server).await?;
    // One that is due later tells when it would have come.
    lose(&server, &mut watching, "later", 5).await?;
    watching.take("will/later").await?;
    watching.quiet().await?;
    server.discard().await
}

async fn a_will_of_who_came_back_is_not_published(mut server: Server) -> anyhow::Result<()> {
    let mut watching = watcher(&server).await?;
    lose(&server, &mut watching, "back", 3).await?;
    let (back, connack) = connect(&server, &kept(&server, Version::V5, "back")).await?;
    ensure!(connack.session_present);
    // Known to be back as soon as it is told that it is.
    kill(&mut server).await?;
    drop(back);
    let mut watching = watcher(&server).await?;
    lose(&server, &mut watching, "later", 5).await?;
    watching.take("will/later").await?;
    watching.quiet().await?;
    server.discard().await
}

async fn a_will_of_who_was_connected_is_due_at_the_start(mut server: Server) -> anyhow::Result<()> {
    let mut watching = watcher(&server).await?;
    let (mut at_once, _) = connect(&server, &mortal(&server, "once", 0)).await?;
    let (mut delayed, _) = connect(&server, &mortal(&server, "delayed", 2)).await?;
    let (mut said_goodbye, _) = connect(&server, &mortal(&server, "polite", 0)).await?;
    for client in [&mut at_once, &mut delayed, &mut said_goodbye] {
        // Their sessions are on disk with this.
        client.subscribe(&[("own", 1)]).await?;
    }
    said_goodbye.disconnect(0).await?;
    watching.subscribe(&[("other", 1)]).await?;
    kill(&mut server).await?;
    let mut watching = watcher(&server).await?;
    watching.take("will/once").await?;
    watching.take("will/delayed").await?;
    watching.quiet().await?;
    server.discard().await
}
