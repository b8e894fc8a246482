//! What opens one app opens nothing in the other.

use partyline_testkit::{ConnectOptions, Version};
use serde_json::json;

use super::neighbours::{Neighbours, other_password, undisturbed};
use crate::chat::stage::refused;

#[tokio::test]
async fn passwords_are_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let name = format!("{}/alice", apps.other);
    let options = ConnectOptions::new(Version::V5, "alice-phone").login(name, "alice-password");
    assert_eq!(apps.code(&options).await?, 0x86);
    let name = format!("{}/carol", apps.server.app);
    let carol = ConnectOptions::new(Version::V5, "phone").login(name, other_password("carol"));
    assert_eq!(apps.code(&carol).await?, 0x86);
    apps.server.discard().await
}

#[tokio::test]
async fn login_tokens_are_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (_here, notice) = apps.enter(&apps.here("alice")).await?;
    // The same user and the same device, next door.
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    let token = notice["token"].as_str().unwrap_or_default().to_owned();
    let mut by_token = apps.there("alice");
    by_token.password = Some(token.clone().into());
    assert_eq!(apps.code(&by_token).await?, 0x86);
    let login = json!({"username": "alice", "token": token});
    assert_eq!(
        refused(&mut there, "$im/session/login", &login).await?,
        (870_202, 0x87)
    );
    undisturbed(&mut there, |_| false).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn device_secrets_are_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let device = |app: &str, secret: &'static str| {
        ConnectOptions::new(Version::V5, "kiosk").login(app.to_owned(), secret)
    };
    let (own, foreign) = ("0123456789abcdef here", "0123456789abcdef there");
    apps.enter(&device(&apps.server.app, own)).await?;
    let (mut there, _) = apps.enter(&device(&apps.other, foreign)).await?;
    assert_eq!(apps.code(&device(&apps.other, own)).await?, 0x86);
    let mut alice = apps.there("alice").user_property("device_secret", own);
    alice.client_id = "kiosk".to_owned();
    assert_eq!(apps.code(&alice).await?, 0x86);
    undisturbed(&mut there, |_| false).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn master_secrets_and_registration_tokens_are_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let service = |app: &str, secret: &str| {
        ConnectOptions::new(Version::V5, "backend")
            .login(format!("{app}/$service"), secret.to_owned())
    };
    let own = &apps.server.master_secret;
    assert_eq!(apps.code(&service(&apps.other, own)).await?, 0x86);
    assert_eq!(
        apps.code(&service(&apps.server.app, &apps.other_secret))
            .await?,
        0x86
    );
    assert_eq!(
        apps.code(&service(&apps.other, &apps.other_secret)).await?,
        0
    );

    let by_token = ["app", "registration", &apps.server.app, "token"];
    let here = apps.server.cli(&by_token, None).await?;
    // An app that the server has not looked at yet, so that it knows the policy of now.
    let third = apps.server.cli(&["app", "create", "third"], None).await?;
    let third = third["app_key"].as_str().unwrap_or_default();
    apps.server
        .cli(&["app", "registration", third, "token"], None)
        .await?;
    let token = here["registration_token"].as_str().unwrap_or_default();
    let device = ConnectOptions::new(Version::V5, "kiosk")
        .login(third.to_owned(), "0123456789abcdef")
        .user_property("registration_token", token);
    assert_eq!(apps.code(&device).await?, 0x87);
    apps.server.discard().await
}

#[tokio::test]
async fn wrong_passwords_in_one_app_do_not_lock_the_other() -> anyhow::Result<()> {
    let config = "[plugins.accounts.failures]\naccount_burst = 2\naccount_seconds = 3600\n";
    let apps = Neighbours::start(config).await?;
    let mut wrong = apps.there("alice");
    wrong.password = Some("wrong-password".into());
    for expected in [0x86, 0x86, 0x9f] {
        assert_eq!(apps.code(&wrong).await?, expected);
    }
    assert_eq!(apps.code(&apps.here("alice")).await?, 0);
    apps.server.discard().await
}

#[tokio::test]
async fn disabling_a_user_leaves_the_namesake() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut here, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    let disable = ["user", "disable", &apps.server.app, "alice"];
    apps.server.cli(&disable, None).await?;
    assert_eq!(here.disconnected().await?, 0x98);
    undisturbed(&mut there, |_| false).await?;
    assert_eq!(apps.code(&apps.there("alice")).await?, 0);
    apps.server.discard().await
}

#[tokio::test]
async fn deleting_an_app_ends_its_connections_alone() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut here, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    let delete = ["app", "delete", &apps.other];
    apps.server.cli(&delete, None).await?;
    assert_eq!(there.disconnected().await?, 0x98);
    there.closed().await?;
    assert_eq!(apps.code(&apps.there("alice")).await?, 0x86);
    crate::chat::stage::say(&mut here, "bobby", "still here").await?;
    undisturbed(&mut here, |_| false).await?;
    apps.server.discard().await
}
