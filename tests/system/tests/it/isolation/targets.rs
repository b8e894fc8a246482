//! Nobody sends over the border, and the refusal tells nothing of the other side.

use partyline_testkit::RawClient;
use serde_json::{Value, json};

use super::neighbours::{Neighbours, undisturbed};
use crate::chat::stage::{batch, listen, say, text_to};

const SEND: &str = "$im/message/send";

/// What a neighbour says is the first item that carol ever gets.
async fn hears_only(apps: &Neighbours, carol: &mut RawClient) -> anyhow::Result<()> {
    let (mut neighbour, _) = apps.enter(&apps.there("bobby")).await?;
    say(&mut neighbour, "carol", "from next door").await?;
    let (_, first) = batch(carol).await?;
    let seen = (first.span(), first.texts());
    assert_eq!(seen, ((0, 1), vec!["from next door"]));
    Ok(())
}

#[tokio::test]
async fn a_username_of_the_other_app_is_unknown_here() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut alice, _) = apps.enter(&apps.here("alice")).await?;
    let (mut carol, _) = apps.enter(&apps.there("carol")).await?;
    listen(&mut carol).await?;
    let mut answers = Vec::new();
    for name in ["carol", "nobody-anywhere"] {
        let (mut reply, reason) = alice.request(SEND, &text_to(name, "m1", "hello")).await?;
        assert_eq!((&reply["error"]["code"], reason), (&json!(803_003), 0x83));
        reply["id"].take();
        answers.push(reply);
    }
    assert_eq!(answers[0], answers[1]);
    hears_only(&apps, &mut carol).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn target_appkey_of_another_app_is_refused_whoever_it_names() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut alice, _) = apps.enter(&apps.here("alice")).await?;
    let (mut carol, _) = apps.enter(&apps.there("carol")).await?;
    listen(&mut carol).await?;
    let nowhere = "z".repeat(24);
    let mut answers: Vec<Value> = Vec::new();
    for (app, name) in [
        (&apps.other, "carol"),
        (&apps.other, "bobby"),
        (&apps.other, "nobody-anywhere"),
        (&nowhere, "carol"),
    ] {
        let mut message = text_to(name, "m1", "hello");
        message["target_appkey"] = json!(app);
        let (reply, reason) = alice.request(SEND, &message).await?;
        assert_eq!(reason, 0x87);
        answers.push(reply);
    }
    assert_eq!(answers[0]["error"]["code"], 899_020);
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    hears_only(&apps, &mut carol).await?;
    // One's own app may be named.
    let mut message = text_to("bobby", "m2", "hello");
    message["target_appkey"] = json!(apps.server.app.to_uppercase());
    alice.ok(SEND, &message).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn registration_ids_of_the_other_app_can_not_be_kicked() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut alice, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, notice) = apps.enter(&apps.there("alice")).await?;
    let unknown = json!({"registration_id": "nobody-has-this-one"});
    let known = json!({"registration_id": notice["registration_id"]});
    let unknown = alice.request("$im/session/kick", &unknown).await?;
    assert_eq!(unknown.0["error"]["code"], 800_016);
    assert_eq!(alice.request("$im/session/kick", &known).await?, unknown);
    undisturbed(&mut there, |_| false).await?;
    assert_eq!(
        apps.code(&apps.there("alice")).await?,
        0,
        "nor is it refused now"
    );
    apps.server.discard().await
}

#[tokio::test]
async fn devices_are_listed_of_ones_own_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut here, own) = apps.enter(&apps.here("alice")).await?;
    let (_there, _) = apps.enter(&apps.there("alice")).await?;
    let list = here.ok("$im/session/devices", &json!({})).await?;
    let devices = list["devices"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(devices.len(), 1, "{list}");
    assert_eq!(devices[0]["registration_id"], own["registration_id"]);
    apps.server.discard().await
}
