//! A user's devices, and how a user takes one of them out.

use partyline_testkit::{Packet, Version};
use serde_json::{Value, json};

use super::entrance::{code, enter};
use crate::chat::stage::{refused, server};

const KICK: &str = "$im/session/kick";

crate::chat::stage::on_both! {
    devices_lists_who_is_logged_in,
    a_kicked_device_is_told_ended_and_refused,
    nobody_kicks_another_users_device_or_the_own_one,
}

async fn devices_lists_who_is_logged_in() -> anyhow::Result<()> {
    let server = server().await?;
    let phone = server.user(Version::V5, "alice", "phone");
    let (mut phone, first) = enter(&server, &phone.user_property("platform", "ios")).await?;
    let (tablet, second) = enter(&server, &server.user(Version::V311, "alice", "tablet")).await?;
    enter(&server, &server.user(Version::V5, "bobby", "phone")).await?;
    tablet.disconnect(0).await?;
    // The end of a connection is noticed after it.
    let devices = loop {
        let list = phone.ok("$im/session/devices", &json!({})).await?;
        let mut devices = list["devices"].as_array().cloned().unwrap_or_default();
        devices.sort_by_key(|device| device["client_id"].as_str().map(str::to_owned));
        if devices.iter().any(|device| device["online"] == false) {
            break devices;
        }
    };
    for device in &devices {
        assert!(
            device["last_seen"]
                .as_u64()
                .is_some_and(|seen| seen > 1_700_000_000_000)
        );
    }
    let shown = |device: &Value| {
        let names = ["registration_id", "platform", "client_id", "online"];
        names.map(|name| device[name].clone())
    };
    let expected = [
        [
            first["registration_id"].clone(),
            json!("ios"),
            json!("alice-phone"),
            json!(true),
        ],
        [
            second["registration_id"].clone(),
            json!("other"),
            json!("alice-tablet"),
            json!(false),
        ],
    ];
    assert_eq!(devices.iter().map(shown).collect::<Vec<_>>(), expected);
    server.discard().await
}

async fn a_kicked_device_is_told_ended_and_refused() -> anyhow::Result<()> {
    let server = server().await?;
    for (version, banned) in [(Version::V311, 5), (Version::V5, 0x8a)] {
        let (mut phone, _) = enter(&server, &server.user(Version::V5, "alice", "phone")).await?;
        let options = server.user(version, "alice", &format!("tablet-{version:?}"));
        let (mut tablet, notice) = enter(&server, &options).await?;
        let kick = json!({"registration_id": notice["registration_id"]});
        assert_eq!(phone.ok(KICK, &kick).await?, json!({}));
        if version == Version::V5 {
            assert_eq!(tablet.disconnected().await?, 0x98);
        } else {
            let farewell = tablet.publish_on("$session").await?.json()?;
            assert_eq!(
                farewell["kicked"],
                json!({"reason": "device", "code": 0x98})
            );
        }
        tablet.closed().await?;
        let mut by_token = options.clone();
        let token = notice["token"].as_str().unwrap_or_default().to_owned();
        by_token.password = Some(token.into());
        for options in [options, by_token] {
            assert_eq!(code(&server, &options).await?, banned);
        }
        // Once more changes nothing.
        assert_eq!(phone.ok(KICK, &kick).await?, json!({}));
    }
    server.discard().await
}

async fn nobody_kicks_another_users_device_or_the_own_one() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut alice, own) = enter(&server, &server.user(Version::V5, "alice", "phone")).await?;
    let (mut bobby, theirs) = enter(&server, &server.user(Version::V5, "bobby", "phone")).await?;
    let kick = |notice: &Value| json!({"registration_id": notice["registration_id"]});
    assert_eq!(
        refused(&mut alice, KICK, &kick(&theirs)).await?,
        (800_016, 0x87)
    );
    let unknown = json!({"registration_id": "nobody-has-this-one"});
    assert_eq!(refused(&mut alice, KICK, &unknown).await?, (800_016, 0x87));
    assert_eq!(
        refused(&mut alice, KICK, &kick(&own)).await?,
        (800_008, 0x99)
    );
    for client in [&mut alice, &mut bobby] {
        client.ping().await?;
        let ended = client
            .unasked()
            .any(|packet| matches!(packet, Packet::Disconnect(..)));
        assert!(!ended);
    }
    server.discard().await
}
