//! QoS 2 both ways, killed after each half step; and QoS 1 in flight.

use anyhow::ensure;
use partyline_system_tests::Server;
use partyline_testkit::{Packet, RawClient, Version};

use super::{clean, connect, kept, kill, on_both};

on_both! {
    a_message_that_was_received_does_not_come_twice,
    a_message_that_was_not_received_comes_again_and_is_taken,
    a_packet_id_that_was_released_is_free,
    a_message_that_was_sent_is_sent_again_with_its_id,
    a_message_that_was_received_by_the_client_is_released_again,
    a_message_that_is_done_is_not_sent_again,
    a_message_at_qos_1_is_sent_again_with_its_id,
}

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// A durable session with a subscription at QoS 2, away.
async fn sleeper(server: &Server, version: Version) -> anyhow::Result<()> {
    let (mut sleeper, _) = connect(server, &kept(server, version, "sleeper")).await?;
    ensure!(sleeper.subscribe(&[("t", 2)]).await? == [2]);
    sleeper.disconnect(0).await
}

/// The payloads that wait for it, each acknowledged. One more is sent, which comes after all others.
async fn waiting(server: &Server, version: Version) -> anyhow::Result<Vec<String>> {
    let (mut end, _) = connect(server, &clean(server, version, "end")).await?;
    end.publish_done("t", "end", 2, false).await?;
    let (mut sleeper, connack) = connect(server, &kept(server, version, "sleeper")).await?;
    ensure!(connack.session_present);
    let mut payloads = Vec::new();
    loop {
        let message = sleeper.take("t").await?;
        let payload = String::from_utf8(message.payload.to_vec())?;
        if payload == "end" {
            break;
        }
        payloads.push(payload);
    }
    sleeper.quiet().await?;
    sleeper.disconnect(0).await?;
    Ok(payloads)
}

async fn publisher(server: &Server, version: Version, present: bool) -> anyhow::Result<RawClient> {
    let (publisher, connack) = connect(server, &kept(server, version, "publisher")).await?;
    ensure!(connack.session_present == present);
    Ok(publisher)
}

/// PUBLISH at QoS 2.
async fn send(client: &mut RawClient, id: u16, payload: &str, dup: bool) -> anyhow::Result<()> {
    client
        .send_publish(id, "t", payload.as_bytes(), 2, false, dup, &[])
        .await
}

/// PUBREL.
async fn release(client: &mut RawClient, id: u16) -> anyhow::Result<u8> {
    client.ack(6, id).await?;
    client.acked(7, id).await
}

async fn a_message_that_was_received_does_not_come_twice(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        sleeper(&server, version).await?;
        let mut client = publisher(&server, version, false).await?;
        send(&mut client, 7, "once", false).await?;
        ensure!(client.acked(5, 7).await? == 0);
        kill(&mut server).await?;
        let mut client = publisher(&server, version, true).await?;
        send(&mut client, 7, "once", true).await?;
        ensure!(client.acked(5, 7).await? == 0);
        ensure!(release(&mut client, 7).await? == 0);
        // And the next one with this id is another.
        send(&mut client, 7, "another", false).await?;
        ensure!(client.acked(5, 7).await? == 0);
        ensure!(release(&mut client, 7).await? == 0);
        client.disconnect(0).await?;
        ensure!(waiting(&server, version).await? == ["once", "another"]);
        forget(&server, version).await?;
    }
    server.discard().await
}

/// The kill may come before or after its commit: it comes once in any case.
async fn a_message_that_was_not_received_comes_again_and_is_taken(
    mut server: Server,
) -> anyhow::Result<()> {
    for version in VERSIONS {
        sleeper(&server, version).await?;
        let mut client = publisher(&server, version, false).await?;
        // So that the session itself is on disk.
        client.publish_done("other", "x", 1, true).await?;
        send(&mut client, 7, "once", false).await?;
        kill(&mut server).await?;
        let mut client = publisher(&server, version, true).await?;
        send(&mut client, 7, "once", true).await?;
        ensure!(client.acked(5, 7).await? == 0);
        ensure!(release(&mut client, 7).await? == 0);
        client.disconnect(0).await?;
        ensure!(waiting(&server, version).await? == ["once"]);
        forget(&server, version).await?;
    }
    server.discard().await
}

async fn a_packet_id_that_was_released_is_free(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        sleeper(&server, version).await?;
        let mut client = publisher(&server, version, false).await?;
        send(&mut client, 7, "first", false).await?;
        ensure!(client.acked(5, 7).await? == 0);
        ensure!(release(&mut client, 7).await? == 0);
        kill(&mut server).await?;
        let mut client = publisher(&server, version, true).await?;
        send(&mut client, 7, "second", false).await?;
        ensure!(client.acked(5, 7).await? == 0);
        ensure!(release(&mut client, 7).await? == 0);
        client.disconnect(0).await?;
        ensure!(waiting(&server, version).await? == ["first", "second"]);
        forget(&server, version).await?;
    }
    server.discard().await
}

/// A sleeper that was sent one message, which is with it as it says; not acknowledged.
async fn sent(server: &Server, version: Version, qos: u8) -> anyhow::Result<(RawClient, u16)> {
    sleeper(server, version).await?;
    let mut publisher = publisher(server, version, false).await?;
    publisher.publish_done("t", "once", qos, false).await?;
    let (mut sleeper, _) = connect(server, &kept(server, version, "sleeper")).await?;
    let message = sleeper.publish_on("t").await?;
    ensure!(!message.dup && message.qos == qos);
    Ok((sleeper, message.id))
}

async fn a_message_that_was_sent_is_sent_again_with_its_id(
    mut server: Server,
) -> anyhow::Result<()> {
    for version in VERSIONS {
        let (_sleeper, id) = sent(&server, version, 2).await?;
        kill(&mut server).await?;
        let (mut sleeper, connack) = connect(&server, &kept(&server, version, "sleeper")).await?;
        ensure!(connack.session_present);
        let again = sleeper.publish_on("t").await?;
        ensure!((again.id, again.dup, &again.payload[..]) == (id, true, &b"once"[..]));
        sleeper.acknowledge(&again).await?;
        sleeper.quiet().await?;
        forget(&server, version).await?;
    }
    server.discard().await
}

async fn a_message_that_was_received_by_the_client_is_released_again(
    mut server: Server,
) -> anyhow::Result<()> {
    for version in VERSIONS {
        let (mut sleeper, id) = sent(&server, version, 2).await?;
        sleeper.ack(5, id).await?;
        sleeper.acked(6, id).await?;
        kill(&mut server).await?;
        let (mut sleeper, _) = connect(&server, &kept(&server, version, "sleeper")).await?;
        ensure!(sleeper.next().await? == Packet::Ack(6, id, 0));
        sleeper.ack(7, id).await?;
        sleeper.quiet().await?;
        forget(&server, version).await?;
    }
    server.discard().await
}

/// That it is done may not be on disk: then it is released once more, and not sent.
async fn a_message_that_is_done_is_not_sent_again(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        let (mut sleeper, id) = sent(&server, version, 2).await?;
        sleeper.ack(5, id).await?;
        sleeper.acked(6, id).await?;
        sleeper.ack(7, id).await?;
        sleeper.ping().await?;
        kill(&mut server).await?;
        let (mut sleeper, _) = connect(&server, &kept(&server, version, "sleeper")).await?;
        sleeper.ping().await?;
        sleeper.ping().await?;
        for packet in sleeper.unasked() {
            ensure!(*packet == Packet::Ack(6, id, 0), "{packet:?}");
        }
        forget(&server, version).await?;
    }
    server.discard().await
}

async fn a_message_at_qos_1_is_sent_again_with_its_id(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        let (_sleeper, id) = sent(&server, version, 1).await?;
        // Its id is stored without anybody waiting for it: what is acknowledged later shows it is.
        let (mut other, _) = connect(&server, &kept(&server, version, "other")).await?;
        other.subscribe(&[("other", 1)]).await?;
        kill(&mut server).await?;
        let (mut sleeper, _) = connect(&server, &kept(&server, version, "sleeper")).await?;
        let again = sleeper.publish_on("t").await?;
        ensure!((again.id, again.dup, &again.payload[..]) == (id, true, &b"once"[..]));
        sleeper.acknowledge(&again).await?;
        sleeper.quiet().await?;
        forget(&server, version).await?;
    }
    server.discard().await
}

/// No session is left for the next round.
async fn forget(server: &Server, version: Version) -> anyhow::Result<()> {
    for id in ["sleeper", "publisher", "other"] {
        let (client, _) = connect(server, &clean(server, version, id)).await?;
        client.disconnect(0).await?;
    }
    Ok(())
}
