//! Within a class a newer login kicks the older.

use partyline_system_tests::Server;
use partyline_testkit::{Packet, RawClient, Version};
use serde_json::{Value, json};

use super::entrance::{device, enter, open_server};
use crate::chat::stage::server;

async fn on(server: &Server, device: &str, platform: &str) -> anyhow::Result<RawClient> {
    let options = server.user(Version::V5, "alice", device);
    let options = options.user_property("platform", platform);
    Ok(enter(server, &options).await?.0)
}

/// Platforms of the devices that are logged in.
async fn platforms(client: &mut RawClient) -> anyhow::Result<Vec<String>> {
    let list = client.ok("$im/session/devices", &json!({})).await?;
    let platform = |device: &Value| device["platform"].as_str().unwrap_or("?").to_owned();
    let devices = list["devices"].as_array().into_iter().flatten();
    let mut platforms: Vec<String> = devices.map(platform).collect();
    platforms.sort();
    Ok(platforms)
}

crate::chat::stage::on_both! {
    a_newer_login_kicks_the_older_of_its_class,
    classes_do_not_kick_each_other_and_other_kicks_nobody,
    another_users_login_kicks_nobody,
    the_same_device_again_is_a_takeover_and_no_kick,
    the_login_verb_kicks_as_a_connect_does,
    an_offline_phone_is_logged_out_too,
}

async fn a_newer_login_kicks_the_older_of_its_class() -> anyhow::Result<()> {
    for (older, newer) in [
        ("android", "ios"),
        ("a", "i"),
        ("windows", "macos"),
        ("web", "js"),
    ] {
        let server = server().await?;
        let mut first = on(&server, "first", older).await?;
        let mut second = on(&server, "second", newer).await?;
        assert_eq!(first.disconnected().await?, 0x98, "{older}, {newer}");
        assert_eq!(platforms(&mut second).await?.len(), 1);
        server.discard().await?;
    }
    Ok(())
}

async fn classes_do_not_kick_each_other_and_other_kicks_nobody() -> anyhow::Result<()> {
    let server = server().await?;
    let all = ["android", "pc", "web", "toaster", "other", ""];
    let mut clients = Vec::new();
    for (number, platform) in all.into_iter().enumerate() {
        clients.push(on(&server, &format!("device-{number}"), platform).await?);
    }
    let (unnamed, _) = enter(&server, &server.user(Version::V5, "alice", "unnamed")).await?;
    clients.push(unnamed);
    let expected = ["android", "other", "other", "other", "other", "pc", "web"];
    for client in &mut clients {
        assert_eq!(platforms(client).await?, expected);
    }
    server.discard().await
}

async fn another_users_login_kicks_nobody() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = on(&server, "phone", "android").await?;
    let bobby = server.user(Version::V5, "bobby", "phone");
    enter(&server, &bobby.user_property("platform", "android")).await?;
    assert_eq!(platforms(&mut alice).await?, ["android"]);
    server.discard().await
}

async fn the_same_device_again_is_a_takeover_and_no_kick() -> anyhow::Result<()> {
    let server = server().await?;
    let mut before = on(&server, "phone", "android").await?;
    let mut after = on(&server, "phone", "ios").await?;
    assert_eq!(before.disconnected().await?, 0x8e);
    assert_eq!(platforms(&mut after).await?, ["ios"]);
    // No ban follows from it.
    on(&server, "phone", "android").await?;
    server.discard().await
}

async fn the_login_verb_kicks_as_a_connect_does() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut older = on(&server, "phone", "android").await?;
    let (mut kiosk, _) = enter(&server, &device(&server, "kiosk")).await?;
    let login = json!({"username": "alice", "password": "alice-password", "platform": "ios"});
    kiosk.ok("$im/session/login", &login).await?;
    assert_eq!(older.disconnected().await?, 0x98);
    assert_eq!(platforms(&mut kiosk).await?, ["ios"]);
    server.discard().await
}

async fn an_offline_phone_is_logged_out_too() -> anyhow::Result<()> {
    let server = server().await?;
    let options = server.user(Version::V5, "alice", "older");
    let options = options.user_property("platform", "android");
    let (older, notice) = enter(&server, &options).await?;
    older.disconnect(0).await?;
    let mut newer = on(&server, "newer", "android").await?;
    assert_eq!(platforms(&mut newer).await?, ["android"]);
    let token = notice["token"].as_str().unwrap_or_default();
    let by_token = super::entrance::user_with(&server, "alice", "older", token);
    assert_eq!(super::entrance::code(&server, &by_token).await?, 0x8a);
    newer.ping().await?;
    let ended = newer
        .unasked()
        .any(|packet| matches!(packet, Packet::Disconnect(..)));
    assert!(!ended);
    server.discard().await
}
