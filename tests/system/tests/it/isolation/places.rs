//! Places in the other app's streams mean nothing here.

use serde_json::json;

use super::neighbours::Neighbours;
use crate::chat::stage::{batch, listen, refused, say};

#[tokio::test]
async fn an_epoch_of_the_other_app_gets_a_reset_of_ones_own() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut here, own) = apps.enter(&apps.here("alice")).await?;
    let (mut there, foreign) = apps.enter(&apps.there("alice")).await?;
    say(&mut here, "bobby", "here").await?;
    say(&mut there, "carol", "there").await?;
    let place = json!({"epoch": foreign["epoch"], "from": 0});
    let reset = here.ok("$im/inbox/sync", &place).await?;
    assert_eq!(
        (&reset["reset"], &reset["epoch"]),
        (&json!(true), &own["epoch"])
    );
    let own_heads = json!([{
        "conversation": format!("single:{}:bobby", apps.server.app), "last_seq": 1,
    }]);
    let mut heads = reset["conversations"].clone();
    for head in heads.as_array_mut().into_iter().flatten() {
        if let Some(head) = head.as_object_mut() {
            head.retain(|name, _| name == "conversation" || name == "last_seq");
        }
    }
    assert_eq!(heads, own_heads);
    // As a place among the heads, a conversation of the other app is only a name.
    let after = json!({"from": 0, "heads_after": format!("single:{}:alice", apps.other)});
    let reset = here.ok("$im/inbox/sync", &after).await?;
    assert!(!reset.to_string().contains("carol"), "{reset}");
    apps.server.discard().await
}

#[tokio::test]
async fn an_acknowledgement_with_the_other_apps_epoch_moves_nothing() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let (mut alice, _) = apps.enter(&apps.here("alice")).await?;
    let (mut here, _) = apps.enter(&apps.here("bobby")).await?;
    let (_there, foreign) = apps.enter(&apps.there("bobby")).await?;
    say(&mut alice, "bobby", "hello").await?;
    listen(&mut here).await?;
    let (_, taken) = batch(&mut here).await?;
    let ack = json!({"epoch": foreign["epoch"], "seq": 1});
    assert_eq!(
        refused(&mut here, "$im/inbox/ack", &ack).await?,
        (870_101, 0x83)
    );
    let ack = json!({"epoch": taken.epoch, "seq": 0});
    assert_eq!(here.ok("$im/inbox/ack", &ack).await?, json!({"seq": 0}));
    apps.server.discard().await
}
