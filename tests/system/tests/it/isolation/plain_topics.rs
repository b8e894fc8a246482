//! Every app has its own topics.

use partyline_testkit::{ConnectOptions, RawClient, Version};

use super::neighbours::{Neighbours, undisturbed};
use crate::chat::stage::OPEN_TOPICS;

async fn publish(client: &mut RawClient, topic: &str, qos: u8, retain: bool) -> anyhow::Result<()> {
    let id = client
        .publish(topic, "secret of this app", qos, retain)
        .await?;
    if qos == 1 {
        assert_eq!(client.acked(4, id).await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn wildcards_show_nothing_of_the_other_app() -> anyhow::Result<()> {
    let apps = Neighbours::start(OPEN_TOPICS).await?;
    let (mut here, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    let filters = [("#", 1), ("+/#", 1), ("/#", 1), ("news/today", 1), ("+", 1)];
    assert!(
        there
            .subscribe(&filters)
            .await?
            .iter()
            .all(|code| *code == 1)
    );
    let guess = format!("{}/#", apps.server.app);
    assert_eq!(
        there.subscribe(&[(&guess, 1)]).await?,
        [1],
        "a topic like any other"
    );
    let prefixed = format!("{}/news", apps.server.app);
    for topic in ["news/today", "news", "/", &prefixed] {
        publish(&mut here, topic, 1, false).await?;
    }
    undisturbed(&mut there, |_| false).await?;
    publish(&mut there, "news/today", 1, false).await?;
    there.publish_on("news/today").await?;
    apps.server.discard().await
}

#[tokio::test]
async fn retained_messages_are_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start(OPEN_TOPICS).await?;
    let (mut here, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    publish(&mut here, "board", 1, true).await?;
    assert_eq!(there.subscribe(&[("#", 1), ("board", 1)]).await?, [1, 1]);
    undisturbed(&mut there, |_| false).await?;
    // Clearing it next door leaves it.
    let id = there.publish("board", "", 1, true).await?;
    there.acked(4, id).await?;
    here.subscribe(&[("board", 1)]).await?;
    let kept = here.publish_on("board").await?;
    assert!(kept.retain && kept.payload == "secret of this app");
    apps.server.discard().await
}

#[tokio::test]
async fn wills_are_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start(OPEN_TOPICS).await?;
    let options = apps.here("alice").will("gone", b"alice", 1, true);
    let (alice, _) = apps.enter(&options).await?;
    let (mut witness, _) = apps.enter(&apps.here("bobby")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    for client in [&mut witness, &mut there] {
        assert_eq!(client.subscribe(&[("gone", 1)]).await?, [1]);
    }
    drop(alice);
    witness.publish_on("gone").await?;
    undisturbed(&mut there, |_| false).await?;
    there.subscribe(&[("#", 1)]).await?;
    undisturbed(&mut there, |_| false).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn the_apps_server_is_of_one_app() -> anyhow::Result<()> {
    let apps = Neighbours::start("").await?;
    let service = |app: &str, secret: &str| {
        ConnectOptions::new(Version::V5, "backend")
            .login(format!("{app}/$service"), secret.to_owned())
    };
    let here = service(&apps.server.app, &apps.server.master_secret);
    let mut here = apps.server.connect(&here).await?;
    let mut there = apps
        .server
        .connect(&service(&apps.other, &apps.other_secret))
        .await?;
    assert_eq!(there.subscribe(&[("#", 1)]).await?, [1]);
    publish(&mut here, "news/today", 1, true).await?;
    undisturbed(&mut there, |_| false).await?;
    there.unsubscribe(&["#"]).await?;
    assert_eq!(there.subscribe(&[("news/+", 1)]).await?, [1]);
    undisturbed(&mut there, |_| false).await?;
    undisturbed(&mut here, |_| false).await?;
    apps.server.discard().await
}

#[tokio::test]
async fn replies_go_to_no_topic_that_the_other_app_hears() -> anyhow::Result<()> {
    let apps = Neighbours::start(OPEN_TOPICS).await?;
    let (mut here, _) = apps.enter(&apps.here("alice")).await?;
    let (mut there, _) = apps.enter(&apps.there("alice")).await?;
    let filters = [("#", 1), ("$im/#", 1), ("$im/reply", 1), ("$session", 1)];
    assert!(
        there
            .subscribe(&filters)
            .await?
            .iter()
            .all(|code| *code < 0x80)
    );
    there.publish_on("$session").await?;
    // Response Topic, MQTT 5.
    let mut topic = vec![0, 7];
    topic.extend_from_slice(b"replies");
    let id = here.take_id();
    here.send_publish(
        id,
        "$im/session/devices",
        b"{}",
        1,
        false,
        false,
        &[(0x08, topic.into())],
    )
    .await?;
    let reply = here.publish_on("replies").await?.json()?;
    assert!(reply["ok"]["devices"].is_array(), "{reply}");
    undisturbed(&mut there, |_| false).await?;
    apps.server.discard().await
}
