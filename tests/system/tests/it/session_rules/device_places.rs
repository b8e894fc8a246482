//! Which device a connection sits on: nobody takes over another's session by guessing a client id.

use partyline_plugin::database::Pool;
use partyline_plugin::sqlx;
use partyline_testkit::{Packet, RawClient, Version};
use serde_json::json;

use super::entrance::{SECRET, code, device, enter, knock, open_server, open_server_with};
use crate::chat::stage::{OPEN_TOPICS, batch, listen, say};

/// Fails if the broker has ended the connection.
async fn is_undisturbed(client: &mut RawClient) -> anyhow::Result<()> {
    client.ping().await?;
    let end = client
        .unasked()
        .find(|packet| matches!(packet, Packet::Disconnect(..)));
    assert_eq!(end, None);
    Ok(())
}

crate::chat::stage::on_both! {
    a_user_does_not_take_over_a_device_without_its_secret,
    a_user_with_the_devices_secret_sits_on_the_device,
    a_user_does_not_take_over_another_users_device,
    the_same_session_takes_over,
    an_empty_client_id_gets_one_and_leaves_no_device,
    a_user_has_a_limited_number_of_devices,
}

async fn a_user_does_not_take_over_a_device_without_its_secret() -> anyhow::Result<()> {
    let server = open_server().await?;
    let (mut kiosk, theirs) = enter(&server, &device(&server, "kiosk")).await?;
    let mut alice = server.user(Version::V5, "alice", "phone");
    alice.client_id = "kiosk".to_owned();
    let (_alice, own) = enter(&server, &alice).await?;
    assert_ne!(own["registration_id"], theirs["registration_id"]);
    is_undisturbed(&mut kiosk).await?;
    let wrong = alice.user_property("device_secret", "fedcba9876543210");
    assert_eq!(code(&server, &wrong).await?, 0x86);
    is_undisturbed(&mut kiosk).await?;
    server.discard().await
}

async fn a_user_with_the_devices_secret_sits_on_the_device() -> anyhow::Result<()> {
    let server = open_server().await?;
    let (mut kiosk, theirs) = enter(&server, &device(&server, "kiosk")).await?;
    let mut alice = server.user(Version::V5, "alice", "phone");
    alice.client_id = "kiosk".to_owned();
    let alice = alice.user_property("device_secret", SECRET);
    let (mut alice, own) = enter(&server, &alice).await?;
    assert_eq!(own["registration_id"], theirs["registration_id"]);
    assert_eq!(own["username"], "alice");
    assert_eq!(kiosk.disconnected().await?, 0x8e, "it is the same session");
    is_undisturbed(&mut alice).await?;
    server.discard().await
}

async fn a_user_does_not_take_over_another_users_device() -> anyhow::Result<()> {
    let server = open_server().await?;
    let options = server.user(Version::V5, "alice", "phone").persistent(3600);
    let (mut alice, theirs) = enter(&server, &options).await?;
    let mut bobby = server.user(Version::V5, "bobby", "phone").persistent(3600);
    bobby.client_id = "alice-phone".to_owned();
    let (mut bobby, own) = enter(&server, &bobby).await?;
    assert_ne!(own["registration_id"], theirs["registration_id"]);
    is_undisturbed(&mut alice).await?;
    // Each has its own place in its own stream.
    listen(&mut alice).await?;
    listen(&mut bobby).await?;
    say(&mut alice, "alice", "to myself").await?;
    assert_eq!(batch(&mut alice).await?.1.texts(), ["to myself"]);
    crate::chat::stage::hears_nothing(&mut bobby).await?;
    server.discard().await
}

async fn the_same_session_takes_over() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut users = Vec::new();
    for version in [Version::V5, Version::V311] {
        users.push(server.user(version, "alice", "phone"));
    }
    let devices = vec![device(&server, "kiosk"), device(&server, "kiosk")];
    for pair in [users, devices] {
        let mut first = server.connect(&pair[0]).await?;
        let mut second = server.connect(&pair[1]).await?;
        assert_eq!(first.disconnected().await?, 0x8e);
        first.closed().await?;
        is_undisturbed(&mut second).await?;
    }
    server.discard().await
}

async fn an_empty_client_id_gets_one_and_leaves_no_device() -> anyhow::Result<()> {
    let server = open_server_with("[plugins.accounts.devices]\nper_user = 2\n").await?;
    let mut options = server.user(Version::V5, "alice", "phone");
    options.client_id = String::new();
    let mut seen = Vec::new();
    // More than a user may have devices: those before are gone.
    for _ in 0..4 {
        let (client, connack) = super::entrance::knock(&server, &options).await?;
        assert_eq!(connack.code, 0);
        let assigned = connack.properties.get(0x12).cloned();
        assert!(assigned.is_some() && !seen.contains(&assigned));
        seen.push(assigned);
        client.disconnect(0).await?;
    }
    server.discard().await
}

async fn a_user_has_a_limited_number_of_devices() -> anyhow::Result<()> {
    let server = open_server_with("[plugins.accounts.devices]\nper_user = 2\n").await?;
    let (_first, _) = enter(&server, &server.user(Version::V5, "alice", "one")).await?;
    let (mut second, _) = enter(&server, &server.user(Version::V5, "alice", "two")).await?;
    let third = server.user(Version::V5, "alice", "three");
    assert_eq!(code(&server, &third).await?, 0x97);
    // One that is logged in already may come back, and a logout makes room.
    enter(&server, &server.user(Version::V5, "alice", "one")).await?;
    second.ok("$im/session/logout", &json!({})).await?;
    enter(&server, &third).await?;
    server.discard().await
}

/// A device is forgotten, and a stranger comes with its client id and a secret of their own.
#[tokio::test]
async fn a_stranger_does_not_resume_the_session_of_a_forgotten_device() -> anyhow::Result<()> {
    let server = open_server_with(OPEN_TOPICS).await?;
    let options = device(&server, "kiosk").persistent(3600);
    let (mut kiosk, theirs) = enter(&server, &options).await?;
    kiosk.subscribe(&[("news", 1)]).await?;
    kiosk.disconnect(0).await?;
    let mut witness = server.connect(&device(&server, "witness")).await?;
    assert_eq!(witness.publish_done("news", "old", 1, false).await?, 0);
    let database = server.database().open().await?;
    let forget = "DELETE FROM accounts_device WHERE client_id = 'kiosk'";
    let Pool::Sqlite { writer, .. } = database.pool() else {
        panic!("the default is SQLite")
    };
    sqlx::query(forget).execute(writer).await?;
    database.close().await;
    let mut stranger = options;
    stranger.password = Some("fedcba9876543210fedcba9876543210".into());
    let (mut stranger, connack) = knock(&server, &stranger).await?;
    assert_eq!((connack.code, connack.session_present), (0, false));
    let own = stranger.publish_on("$session").await?.json()?;
    assert_ne!(own["registration_id"], theirs["registration_id"]);
    witness.publish_done("news", "new", 1, false).await?;
    stranger.ping().await?;
    stranger.ping().await?;
    let heard = stranger
        .unasked()
        .any(|packet| matches!(packet, Packet::Publish(publish) if publish.topic == "news"));
    assert!(!heard, "the forgotten device's messages or subscriptions");
    server.discard().await
}
