//! SIGTERM to the real process: clients get what is theirs and are told, and who insists is obeyed.

use partyline_plugin::database::Pool;
use partyline_plugin::sqlx;
use partyline_testkit::{Packet, Version};

use crate::chat::stage::{OPEN_TOPICS, server_with, text_to, user};

const SHUTTING_DOWN: u8 = 0x8b;

#[tokio::test]
async fn what_is_queued_is_delivered_and_clients_are_told() -> anyhow::Result<()> {
    let mut server = server_with(OPEN_TOPICS).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let mut old = server
        .connect(&server.user(Version::V311, "bobby", "old"))
        .await?;
    for listener in [&mut bobby, &mut old] {
        assert_eq!(listener.subscribe(&[("news", 1)]).await?, [1]);
    }
    for number in 0..50_u8 {
        assert_eq!(alice.publish_done("news", [number], 1, false).await?, 0);
    }
    assert_eq!(server.terminate().await?, Some(0), "{}", server.log());
    for (listener, is_told) in [(&mut bobby, true), (&mut old, false)] {
        for number in 0..50_u8 {
            assert_eq!(listener.publish_on("news").await?.payload[..], [number]);
        }
        if is_told {
            assert_eq!(listener.disconnected().await?, SHUTTING_DOWN);
        }
        listener.closed().await?;
    }
    assert_eq!(alice.disconnected().await?, SHUTTING_DOWN);
    server.discard().await
}

#[tokio::test]
async fn a_second_signal_ends_a_stop_that_is_held_up() -> anyhow::Result<()> {
    let mut server = server_with("[mqtt]\nstop_grace = 60\n").await?;
    let mut bystander = user(&server, "bobby", "phone").await?;
    let mut alice = user(&server, "alice", "phone").await?;
    // Somebody else holds the lock of the database, so that a command cannot end.
    let database = server.database().open().await?;
    let Pool::Sqlite { writer, .. } = database.pool() else {
        anyhow::bail!("not SQLite")
    };
    let mut lock = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("CREATE TABLE held (n INTEGER)")
        .execute(&mut *lock)
        .await?;
    let message = text_to("bobby", "stuck", "stuck").to_string();
    alice.publish("$im/message/send", message, 1, false).await?;
    alice.ping().await?;

    server.ask_to_stop().await?;
    // The first signal has been taken once clients are told.
    assert_eq!(bystander.disconnected().await?, SHUTTING_DOWN);
    server.ask_to_stop().await?;
    // 128 and the number of SIGTERM: it did not wait for the command, which would end it with 0.
    assert_eq!(server.ended().await?, Some(143), "{}", server.log());
    let acknowledged = alice
        .unasked()
        .any(|packet| matches!(packet, Packet::Ack(..)));
    assert!(!acknowledged, "{alice:?}");
    lock.rollback().await?;
    database.close().await;
    server.discard().await
}
