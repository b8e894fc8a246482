//! An MQTT 5 client may refuse a batch: a PUBACK with an error is no acknowledgement.

use partyline_testkit::RawClient;

use crate::chat::stage::{batch, hears_nothing, items_to, listen, say, server, starts_at, user};

/// PUBACK with 0x97, quota exceeded.
async fn refuse(client: &mut RawClient, id: u16) -> anyhow::Result<()> {
    let [high, low] = id.to_be_bytes();
    client.send_bytes(&[0x40, 3, high, low, 0x97]).await
}

crate::chat::stage::on_both! {
    a_refused_batch_does_not_move_the_cursor,
    a_refused_batch_comes_again_when_the_client_subscribes_again,
}

async fn a_refused_batch_does_not_move_the_cursor() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    say(&mut alice, "bobby", "one").await?;
    let (packet, _) = batch(&mut bobby).await?;
    refuse(&mut bobby, packet.id).await?;
    // Nor does the broker press on with it, or with what comes after it.
    say(&mut alice, "bobby", "two").await?;
    hears_nothing(&mut bobby).await?;
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 0);
    server.discard().await
}

async fn a_refused_batch_comes_again_when_the_client_subscribes_again() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    say(&mut alice, "bobby", "one").await?;
    let (packet, _) = batch(&mut bobby).await?;
    refuse(&mut bobby, packet.id).await?;
    say(&mut alice, "bobby", "two").await?;
    hears_nothing(&mut bobby).await?;
    listen(&mut bobby).await?;
    assert_eq!(items_to(&mut bobby, 2).await?.len(), 2);
    server.discard().await
}
