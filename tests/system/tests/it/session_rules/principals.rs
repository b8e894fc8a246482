//! Devices, users and servers.

use partyline_testkit::{Packet, Version};
use serde_json::json;

use super::entrance::{device, enter, open_server, service};
use crate::chat::stage::{VERSIONS, refused, text_to};

/// A verb for each of the plugins that have verbs for users.
fn user_verbs() -> [(&'static str, serde_json::Value); 4] {
    [
        ("$im/message/send", text_to("bobby", "m1", "hello")),
        ("$im/inbox/sync", json!({"from": 0})),
        ("$im/session/configure", json!({"deliver": true})),
        ("$im/session/devices", json!({})),
    ]
}

crate::chat::stage::on_both! {
    a_device_is_told_its_registration_and_has_no_user,
    a_user_is_told_name_token_and_place,
    a_server_has_plain_topics_and_no_user,
    devices_and_users_have_no_plain_topics_by_default,
    one_session_each_for_device_user_and_server_of_one_client_id,
}

async fn a_device_is_told_its_registration_and_has_no_user() -> anyhow::Result<()> {
    let server = open_server().await?;
    let (mut device, notice) = enter(&server, &device(&server, "kiosk")).await?;
    let mut names: Vec<_> = notice
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    assert_eq!(names, ["registration_id", "server_time"]);
    for (topic, request) in user_verbs() {
        let (_, reason) = refused(&mut device, topic, &request).await?;
        assert_eq!(reason, 0x87, "{topic}");
    }
    server.discard().await
}

async fn a_user_is_told_name_token_and_place() -> anyhow::Result<()> {
    let server = open_server().await?;
    for version in VERSIONS {
        let options = server.user(version, "alice", "phone");
        let (mut alice, connack) = super::entrance::knock(&server, &options).await?;
        let notice = alice.publish_on("$session").await?.json()?;
        assert_eq!(notice["username"], "alice");
        assert_eq!(notice["head"], 0);
        for name in ["registration_id", "token", "epoch"] {
            assert!(
                notice[name].as_str().is_some_and(|text| !text.is_empty()),
                "{notice}"
            );
        }
        assert!(
            notice["server_time"]
                .as_u64()
                .is_some_and(|time| time > 1_700_000_000_000)
        );
        if version == Version::V5 {
            for (name, value) in notice.as_object().into_iter().flatten() {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                assert_eq!(connack.properties.user(name), Some(value), "{name}");
            }
        }
    }
    server.discard().await
}

async fn a_server_has_plain_topics_and_no_user() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut backend = server.connect(&service(&server, "backend")).await?;
    for (topic, request) in user_verbs() {
        let (_, reason) = refused(&mut backend, topic, &request).await?;
        assert_eq!(reason, 0x87, "{topic}");
    }
    let codes = backend
        .subscribe(&[("$im/inbox", 1), ("$im/#", 1), ("news/#", 1)])
        .await?;
    assert_eq!(codes, [0x87, 0x87, 1]);
    let id = backend.publish("news/today", "rain", 1, false).await?;
    assert_eq!(backend.acked(4, id).await?, 0);
    backend.publish_on("news/today").await?;
    server.discard().await
}

async fn devices_and_users_have_no_plain_topics_by_default() -> anyhow::Result<()> {
    let server = open_server().await?;
    for options in [
        device(&server, "kiosk"),
        server.user(Version::V5, "alice", "phone"),
    ] {
        let mut client = server.connect(&options).await?;
        assert_eq!(client.subscribe(&[("news/#", 1)]).await?, [0x87]);
        let id = client.publish("news/today", "rain", 1, false).await?;
        assert_eq!(client.acked(4, id).await?, 0x87);
    }
    server.discard().await
}

async fn one_session_each_for_device_user_and_server_of_one_client_id() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut user = server.user(Version::V5, "alice", "phone");
    user.client_id = "same".to_owned();
    let all = [device(&server, "same"), service(&server, "same"), user];
    let mut clients = Vec::new();
    for options in &all {
        clients.push(server.connect(options).await?);
    }
    for client in &mut clients {
        client.ping().await?;
        let ended = client
            .unasked()
            .any(|packet| matches!(packet, Packet::Disconnect(..)));
        assert!(!ended, "none takes over another");
    }
    server.discard().await
}
