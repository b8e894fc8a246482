//! Login tokens: one for each login, and gone with it.

use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, Packet, RawClient, Version};
use serde_json::{Value, json};

use super::entrance::{code, enter, user_with};
use crate::chat::stage::{VERSIONS, server};

/// Alice on her phone, and the CONNECT by her token.
async fn logged_in(server: &Server) -> anyhow::Result<(RawClient, ConnectOptions)> {
    let (client, notice) = enter(server, &server.user(Version::V5, "alice", "phone")).await?;
    let token = notice["token"].as_str().unwrap_or_default();
    assert!(!token.is_empty(), "{notice}");
    Ok((client, user_with(server, "alice", "phone", token)))
}

/// The reason and the reason string of the DISCONNECT.
async fn ended_with(client: &mut RawClient) -> anyhow::Result<(u8, String)> {
    client
        .wait_for("DISCONNECT", |packet| match packet {
            Packet::Disconnect(reason, properties) => {
                let text = properties.get(0x1f).and_then(|text| text.get(2..));
                let text = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
                Some((*reason, text))
            }
            _ => None,
        })
        .await
}

crate::chat::stage::on_both! {
    a_token_logs_in_and_is_not_issued_again,
    a_token_is_for_one_user_on_one_device,
    logout_revokes_the_token,
    a_changed_password_ends_all_logins_while_the_server_runs,
    a_disabled_users_logins_end_while_the_server_runs,
    a_deleted_users_logins_end,
    no_password_begins_as_tokens_do,
}

async fn a_token_logs_in_and_is_not_issued_again() -> anyhow::Result<()> {
    let server = server().await?;
    for version in VERSIONS {
        let options = server.user(version, "alice", "phone");
        let (client, first) = enter(&server, &options).await?;
        client.disconnect(0).await?;
        let mut by_token = options.clone();
        let token = first["token"].as_str().unwrap_or_default().to_owned();
        by_token.password = Some(token.into());
        for _ in 0..2 {
            let (client, again) = enter(&server, &by_token).await?;
            assert_eq!(again["registration_id"], first["registration_id"]);
            assert_eq!(
                (&again["username"], again.get("token")),
                (&json!("alice"), None)
            );
            client.disconnect(0).await?;
        }
        // A new login by password ends the token of the one before.
        enter(&server, &options).await?;
        let refused = if version == Version::V5 { 0x86 } else { 4 };
        assert_eq!(code(&server, &by_token).await?, refused);
    }
    server.discard().await
}

async fn a_token_is_for_one_user_on_one_device() -> anyhow::Result<()> {
    let server = server().await?;
    let (_alice, by_token) = logged_in(&server).await?;
    let mut elsewhere = by_token.clone();
    elsewhere.client_id = "alice-tablet".to_owned();
    assert_eq!(code(&server, &elsewhere).await?, 0x86);
    let mut other_user = by_token.clone();
    other_user.username = Some(format!("{}/bobby", server.app));
    assert_eq!(code(&server, &other_user).await?, 0x86);
    assert_eq!(code(&server, &by_token).await?, 0);
    server.discard().await
}

async fn logout_revokes_the_token() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut alice, by_token) = logged_in(&server).await?;
    alice.ok("$im/session/logout", &json!({})).await?;
    assert_eq!(code(&server, &by_token).await?, 0x86);
    server.discard().await
}

async fn a_changed_password_ends_all_logins_while_the_server_runs() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut alice, by_token) = logged_in(&server).await?;
    let mut old = enter(&server, &server.user(Version::V311, "alice", "old"))
        .await?
        .0;
    let (mut bobby, _) = enter(&server, &server.user(Version::V5, "bobby", "phone")).await?;
    let change = ["user", "password", &server.app, "alice"];
    server.cli(&change, Some("another-password")).await?;
    assert_eq!(
        ended_with(&mut alice).await?,
        (0x98, "password_changed".to_owned())
    );
    let farewell: Value = old.publish_on("$session").await?.json()?;
    assert_eq!(farewell["kicked"]["reason"], "password_changed");
    old.closed().await?;
    assert_eq!(code(&server, &by_token).await?, 0x86);
    assert_eq!(
        code(&server, &server.user(Version::V5, "alice", "phone")).await?,
        0x86
    );
    // No ban: the new password works at once.
    enter(
        &server,
        &user_with(&server, "alice", "phone", "another-password"),
    )
    .await?;
    bobby.ping().await?;
    server.discard().await
}

async fn a_disabled_users_logins_end_while_the_server_runs() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut alice, by_token) = logged_in(&server).await?;
    let disable = ["user", "disable", &server.app, "alice"];
    server.cli(&disable, None).await?;
    assert_eq!(ended_with(&mut alice).await?, (0x98, "disabled".to_owned()));
    assert_eq!(
        code(&server, &by_token).await?,
        0x86,
        "the token was revoked"
    );
    let enable = ["user", "enable", &server.app, "alice"];
    server.cli(&enable, None).await?;
    assert_eq!(code(&server, &by_token).await?, 0x86, "for good");
    enter(&server, &server.user(Version::V5, "alice", "phone")).await?;
    server.discard().await
}

async fn a_deleted_users_logins_end() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut alice, by_token) = logged_in(&server).await?;
    let delete = ["user", "delete", &server.app, "alice"];
    server.cli(&delete, None).await?;
    assert_eq!(ended_with(&mut alice).await?, (0x98, "deleted".to_owned()));
    assert_eq!(code(&server, &by_token).await?, 0x86);
    assert_eq!(
        code(&server, &server.user(Version::V5, "alice", "phone")).await?,
        0x86
    );
    server.discard().await
}

async fn no_password_begins_as_tokens_do() -> anyhow::Result<()> {
    let server = server().await?;
    let change = ["user", "password", &server.app, "alice"];
    assert!(server.cli(&change, Some("plt_password")).await.is_err());
    let add = ["user", "add", &server.app, "carol"];
    assert!(server.cli(&add, Some("plt_password")).await.is_err());
    enter(&server, &server.user(Version::V5, "alice", "phone")).await?;
    server.discard().await
}
