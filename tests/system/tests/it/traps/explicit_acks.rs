//! Clients that first write to their own disk say themselves what is safe: `ack:"explicit"`.

use partyline_system_tests::Server;
use partyline_testkit::{RawClient, Version};
use serde_json::{Value, json};

use crate::chat::stage::{
    VERSIONS, batch, hears_nothing, listen, refused, say, server, starts_at, user,
};

const ACK: &str = "$im/inbox/ack";

async fn explicit(server: &Server, version: Version) -> anyhow::Result<RawClient> {
    let options = server.user(version, "bobby", "phone");
    let mut bobby = server.connect(&options).await?;
    let wish = json!({"ack": "explicit"});
    let configured = bobby.ok("$im/session/configure", &wish).await?;
    assert_eq!(configured["ack"], "explicit");
    listen(&mut bobby).await?;
    Ok(bobby)
}

fn ack(epoch: &str, seq: u64) -> Value {
    json!({"id": seq, "epoch": epoch, "seq": seq})
}

crate::chat::stage::on_both! {
    a_puback_moves_no_explicit_cursor,
    the_puback_lets_the_next_batch_come_and_ack_moves_the_cursor,
    nothing_beyond_what_was_sent_can_be_acknowledged,
    the_answer_to_ack_means_that_it_is_on_disk,
}

async fn a_puback_moves_no_explicit_cursor() -> anyhow::Result<()> {
    for version in VERSIONS {
        let server = server().await?;
        let mut alice = user(&server, "alice", "phone").await?;
        let mut bobby = explicit(&server, version).await?;
        say(&mut alice, "bobby", "one").await?;
        let (packet, taken) = batch(&mut bobby).await?;
        assert_eq!(taken.prev, 0);
        bobby.puback(packet.id).await?;
        hears_nothing(&mut bobby).await?;
        bobby.disconnect(0).await?;
        assert_eq!(starts_at(&server, "bobby", "phone").await?, 0);
        server.discard().await?;
    }
    Ok(())
}

async fn the_puback_lets_the_next_batch_come_and_ack_moves_the_cursor() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = explicit(&server, Version::V5).await?;
    let mut epoch = String::new();
    for seq in 1..=3 {
        say(&mut alice, "bobby", &seq.to_string()).await?;
        let (packet, taken) = batch(&mut bobby).await?;
        assert_eq!(taken.span(), (seq - 1, seq));
        bobby.puback(packet.id).await?;
        epoch = taken.epoch;
    }
    assert_eq!(bobby.ok(ACK, &ack(&epoch, 2)).await?, json!({"seq": 2}));
    // Cumulative: an older place changes nothing.
    assert_eq!(bobby.ok(ACK, &ack(&epoch, 1)).await?, json!({"seq": 2}));
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 2);
    server.discard().await
}

async fn nothing_beyond_what_was_sent_can_be_acknowledged() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = explicit(&server, Version::V5).await?;
    say(&mut alice, "bobby", "one").await?;
    let (_, taken) = batch(&mut bobby).await?;
    say(&mut alice, "bobby", "not sent yet").await?;
    let beyond = refused(&mut bobby, ACK, &ack(&taken.epoch, 2)).await?;
    assert_eq!(beyond, (870_102, 0x83));
    let far = refused(&mut bobby, ACK, &ack(&taken.epoch, 1 << 40)).await?;
    assert_eq!(far.0, 870_102);
    let other = refused(&mut bobby, ACK, &ack("another", 1)).await?;
    assert_eq!(other, (870_101, 0x83));
    assert_eq!(
        bobby.ok(ACK, &ack(&taken.epoch, 1)).await?,
        json!({"seq": 1})
    );
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 1);
    server.discard().await
}

async fn the_answer_to_ack_means_that_it_is_on_disk() -> anyhow::Result<()> {
    let mut server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = explicit(&server, Version::V5).await?;
    for text in ["one", "two"] {
        say(&mut alice, "bobby", text).await?;
        let (packet, _) = batch(&mut bobby).await?;
        bobby.puback(packet.id).await?;
    }
    let probe = json!({"from": 0});
    let epoch = bobby.ok("$im/inbox/sync", &probe).await?["epoch"].clone();
    let ack = json!({"epoch": epoch, "seq": 1});
    // Twice without waiting: the answer to the repetition means the same.
    bobby.publish(ACK, ack.to_string(), 0, false).await?;
    assert_eq!(bobby.ok(ACK, &ack).await?, json!({"seq": 1}));
    server.kill().await?;
    server.start_again().await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 1);
    server.discard().await
}
