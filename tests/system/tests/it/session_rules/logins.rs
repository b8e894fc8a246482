//! A push device becomes a chat client, and back, without reconnecting.

use partyline_testkit::Version;
use serde_json::{Value, json};

use super::entrance::{code, device, enter, open_server, user_with};
use crate::chat::stage::{batch, hears_nothing, items_to, listen, refused, say, user};

const LOGIN: &str = "$im/session/login";
const LOGOUT: &str = "$im/session/logout";

fn as_alice() -> Value {
    json!({"id": 1, "username": "alice", "password": "alice-password"})
}

crate::chat::stage::on_both! {
    login_opens_the_inbox_that_was_subscribed_before,
    logout_closes_the_inbox_and_leaves_the_device,
    a_wrong_login_changes_nothing,
    a_token_logs_in_on_the_connection_too,
    nobody_logs_in_on_another_users_own_device,
}

async fn login_opens_the_inbox_that_was_subscribed_before() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    say(&mut bobby, "alice", "hello").await?;
    let (mut kiosk, notice) = enter(&server, &device(&server, "kiosk")).await?;
    listen(&mut kiosk).await?;
    let login = kiosk.ok(LOGIN, &as_alice()).await?;
    assert_eq!(
        login["registration_id"], notice["registration_id"],
        "the same device"
    );
    assert_eq!(login["head"], 1);
    let (_, batch) = batch(&mut kiosk).await?;
    assert_eq!(batch.texts(), ["hello"]);
    assert_eq!(login["epoch"], batch.epoch);
    server.discard().await
}

async fn logout_closes_the_inbox_and_leaves_the_device() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let (mut kiosk, notice) = enter(&server, &device(&server, "kiosk")).await?;
    kiosk.ok(LOGIN, &as_alice()).await?;
    listen(&mut kiosk).await?;
    say(&mut bobby, "alice", "one").await?;
    items_to(&mut kiosk, 1).await?;
    assert_eq!(kiosk.ok(LOGOUT, &json!({})).await?, json!({}));
    assert_eq!(kiosk.ok(LOGOUT, &json!({})).await?, json!({}), "as before");
    say(&mut bobby, "alice", "two").await?;
    let verb = refused(&mut kiosk, "$im/session/devices", &json!({})).await?;
    assert_eq!(verb.1, 0x87);
    assert!(kiosk.subscribe(&[("$session", 0)]).await?[0] < 0x80);
    let mut told = kiosk.publish_on("$session").await?.json()?;
    assert_eq!(told["registration_id"], notice["registration_id"]);
    assert_eq!(told["username"].take(), Value::Null);
    // Back again: it goes on where the user was on this device.
    kiosk.ok(LOGIN, &as_alice()).await?;
    let (_, batch) = batch(&mut kiosk).await?;
    assert_eq!((batch.span(), batch.texts()), ((1, 2), vec!["two"]));
    server.discard().await
}

async fn a_wrong_login_changes_nothing() -> anyhow::Result<()> {
    let server = open_server().await?;
    let (mut kiosk, _) = enter(&server, &device(&server, "kiosk")).await?;
    kiosk.ok(LOGIN, &as_alice()).await?;
    for name in ["bobby", "nobody-there"] {
        let wrong = json!({"username": name, "password": "wrong-password"});
        assert_eq!(
            refused(&mut kiosk, LOGIN, &wrong).await?,
            (801_004, 0x87),
            "{name}"
        );
    }
    let disable = ["user", "disable", &server.app, "bobby"];
    server.cli(&disable, None).await?;
    let disabled = json!({"username": "bobby", "password": "bobby-password"});
    assert_eq!(
        refused(&mut kiosk, LOGIN, &disabled).await?,
        (801_006, 0x87)
    );
    let wrong = json!({"username": "bobby", "token": "plt_wrong"});
    assert_eq!(refused(&mut kiosk, LOGIN, &wrong).await?, (870_202, 0x87));
    say(&mut kiosk, "bobby", "still alice").await?;
    server.discard().await
}

async fn a_token_logs_in_on_the_connection_too() -> anyhow::Result<()> {
    let server = open_server().await?;
    let (mut kiosk, _) = enter(&server, &device(&server, "kiosk")).await?;
    let login = kiosk.ok(LOGIN, &as_alice()).await?;
    kiosk.disconnect(0).await?;
    let (mut kiosk, notice) = enter(&server, &device(&server, "kiosk")).await?;
    assert_eq!(notice.get("username"), None, "the device alone");
    let by_token = json!({"username": "alice", "token": login["token"]});
    kiosk.ok(LOGIN, &by_token).await?;
    say(&mut kiosk, "bobby", "hello").await?;
    // And at CONNECT, with the device's secret beside it.
    let token = login["token"].as_str().unwrap_or_default();
    let mut connect = user_with(&server, "alice", "x", token);
    connect.client_id = "kiosk".to_owned();
    assert_eq!(
        code(&server, &connect).await?,
        0x86,
        "it is the device's, not the user's own"
    );
    let connect = connect.user_property("device_secret", super::entrance::SECRET);
    let (_, notice) = enter(&server, &connect).await?;
    assert_eq!(notice["username"], "alice");
    server.discard().await
}

async fn nobody_logs_in_on_another_users_own_device() -> anyhow::Result<()> {
    let server = open_server().await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    assert_eq!(
        refused(&mut bobby, LOGIN, &as_alice()).await?,
        (801_005, 0x87)
    );
    hears_nothing(&mut bobby).await?;
    let mut backend = server
        .connect(&super::entrance::service(&server, "backend"))
        .await?;
    let (_, reason) = refused(&mut backend, LOGIN, &as_alice()).await?;
    assert_eq!(reason, 0x87);
    let (_, notice) = enter(&server, &server.user(Version::V5, "alice", "phone")).await?;
    assert_eq!(notice["username"], "alice");
    server.discard().await
}
