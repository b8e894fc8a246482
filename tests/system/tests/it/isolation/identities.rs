//! The same names in both apps are different users, devices and sessions.

use partyline_testkit::{ConnectOptions, Version};

use super::neighbours::{Neighbours, undisturbed};
use crate::chat::stage::{batch, hears_nothing, items_to, listen, say};

#[tokio::test]
async fn the_same_user_and_client_id_live_side_by_side() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut here, one) = apps.enter(&apps.here("alice").persistent(3600)).await?;
    let (mut there, two) = apps.enter(&apps.there("alice").persistent(3600)).await?;
    for name in ["registration_id", "token", "epoch"] {
        assert_ne!(one[name], two[name], "{name}");
    }
    undisturbed(&mut here, |_| false).await?;
    undisturbed(&mut there, |_| false).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn devices_of_one_client_id_live_side_by_side() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let secret = "0123456789abcdef0123456789abcdef";
    let device = |app: &str| {
        let options = ConnectOptions::new(Version::V5, "kiosk").persistent(3600);
        options.login(app.to_owned(), secret)
    };
    let (mut here, one) = apps.enter(&device(&apps.server.app)).await?;
    let (mut there, two) = apps.enter(&device(&apps.other)).await?;
    assert_ne!(one["registration_id"], two["registration_id"]);
    undisturbed(&mut here, |_| false).await?;
    undisturbed(&mut there, |_| false).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn messages_go_to_the_bobby_of_the_senders_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut alice, _) = apps.enter(&apps.here("alice")).await?;
    let (mut here, _) = apps.enter(&apps.here("bobby")).await?;
    let (mut there, _) = apps.enter(&apps.there("bobby")).await?;
    listen(&mut here).await?;
    assert_eq!(there.subscribe(&[("$im/#", 1)]).await?, [1]);
    say(&mut alice, "bobby", "hello").await?;
    let items = items_to(&mut here, 1).await?;
    assert_eq!(items[0]["from"]["appkey"], apps.server.app);
    hears_nothing(&mut there).await?;
    // The other app's streams have not moved either.
    let (mut alice_there, _) = apps.enter(&apps.there("alice")).await?;
    say(&mut alice_there, "bobby", "hello from next door").await?;
    let (_, batch) = batch(&mut there).await?;
    assert_eq!(
        (batch.span(), batch.texts()),
        ((0, 1), vec!["hello from next door"])
    );
    hears_nothing(&mut here).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn a_client_msg_id_of_one_app_is_no_repetition_in_the_other() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut here, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    for client in [&mut here, &mut there] {
        let sent = say(client, "bobby", "hello").await?;
        assert_eq!(
            (&sent["duplicate"], &sent["seq"]),
            (&false.into(), &1.into())
        );
    }
    apps.server.discard().await
}

#[tokio::test]
async fn a_newer_phone_kicks_none_of_the_other_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let phone = |options: ConnectOptions, id: &str| {
        let mut options = options.user_property("platform", "android");
        options.client_id = id.to_owned();
        options
    };
    let (mut here, _) = apps.enter(&phone(apps.here("alice"), "one")).await?;
    let (mut there, _) = apps.enter(&phone(apps.there("alice"), "two")).await?;
    undisturbed(&mut here, |_| false).await?;
    let (_newer, _) = apps.enter(&phone(apps.here("alice"), "two")).await?;
    assert_eq!(here.disconnected().await?, 0x98);
    undisturbed(&mut there, |_| false).await?;
    // The ban is of the app as well.
    assert_eq!(apps.code(&phone(apps.here("alice"), "one")).await?, 0x8a);
    assert_eq!(apps.code(&phone(apps.there("alice"), "one")).await?, 0);
    apps.server.discard().await
}
