//! A name that is given to somebody else.

use anyhow::Context;
use partyline_system_tests::Server;
use partyline_testkit::{Backend, PATIENCE, Packet, Version};

use super::entrance::{enter, knock};
use crate::chat::stage::{
    OPEN_TOPICS, batch, hears_nothing, listen, say, server, server_with, user,
};

async fn delete(server: &Server, name: &str) -> anyhow::Result<()> {
    let delete = ["user", "delete", &server.app, name];
    server.cli(&delete, None).await?;
    Ok(())
}

crate::chat::stage::on_both! {
    the_next_user_of_a_name_gets_nothing_of_the_last,
}

async fn the_next_user_of_a_name_gets_nothing_of_the_last() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let (mut bobby, before) = enter(&server, &server.user(Version::V5, "bobby", "phone")).await?;
    say(&mut alice, "bobby", "for the first bobby").await?;
    delete(&server, "bobby").await?;
    bobby.closed().await?;
    // Refused until nothing is left of the last one.
    let add = async { while server.add_user("bobby").await.is_err() {} };
    tokio::time::timeout(PATIENCE, add)
        .await
        .context("the name does not become free")?;
    let (mut bobby, after) = enter(&server, &server.user(Version::V5, "bobby", "phone")).await?;
    assert_ne!(before["registration_id"], after["registration_id"]);
    listen(&mut bobby).await?;
    hears_nothing(&mut bobby).await?;
    say(&mut alice, "bobby", "for the second").await?;
    let (_, batch) = batch(&mut bobby).await?;
    assert_eq!(batch.texts(), ["for the second"]);
    assert_ne!(before["epoch"], batch.epoch);
    server.discard().await
}

#[tokio::test]
async fn a_name_is_not_given_away_before_the_server_has_cleared_up() -> anyhow::Result<()> {
    let late = "[plugins.accounts.passwords]\nmemory_kib = 8\npasses = 1\n\
                [plugins.accounts.changes]\npoll_ms = 3600000\n";
    let server = Server::start(Backend::Sqlite, late).await?;
    server.add_user("alice").await?;
    server.add_user("bobby").await?;
    let mut alice = user(&server, "alice", "phone").await?;
    say(&mut alice, "bobby", "for the first bobby").await?;
    delete(&server, "bobby").await?;
    let refused = server.add_user("bobby").await;
    let refused = refused
        .err()
        .context("a namesake whose messages would be cleared away")?;
    assert!(
        format!("{refused:#}").contains("still being removed"),
        "{refused:#}"
    );
    server.discard().await
}

/// The same name and the same client id, but another person's session.
#[tokio::test]
async fn the_next_user_of_a_name_does_not_resume_the_last_ones_session() -> anyhow::Result<()> {
    let server = server_with(OPEN_TOPICS).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let options = server.user(Version::V5, "bobby", "phone").persistent(3600);
    let mut bobby = server.connect(&options).await?;
    bobby.subscribe(&[("news", 1)]).await?;
    bobby.disconnect(0).await?;
    assert_eq!(alice.publish_done("news", "old", 1, false).await?, 0);
    delete(&server, "bobby").await?;
    // Refused until nothing is left of the last one.
    let add = async { while server.add_user("bobby").await.is_err() {} };
    tokio::time::timeout(PATIENCE, add)
        .await
        .context("the name does not become free")?;
    let (mut bobby, connack) = knock(&server, &options).await?;
    assert_eq!((connack.code, connack.session_present), (0, false));
    alice.publish_done("news", "new", 1, false).await?;
    bobby.ping().await?;
    bobby.ping().await?;
    let heard = bobby
        .unasked()
        .any(|packet| matches!(packet, Packet::Publish(publish) if publish.topic == "news"));
    assert!(!heard, "the last one's messages or subscriptions");
    server.discard().await
}
