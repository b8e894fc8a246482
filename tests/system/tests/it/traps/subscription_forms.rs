//! However a client subscribes to its inbox, it gets it once, at QoS 1.

use serde_json::json;

use crate::chat::stage::{
    OPEN_TOPICS, VERSIONS, batch, cursor_reaches, hears_nothing, items_between, items_to, listen,
    say, server, server_with, user,
};

crate::chat::stage::on_both! {
    a_subscription_at_any_qos_is_granted_and_served_at_qos_1,
    wildcards_under_im_cover_the_inbox,
    wildcards_never_show_what_is_for_another_session,
    overlapping_subscriptions_deliver_once,
    wildcards_from_the_root_do_not_cover_the_inbox,
    shared_subscriptions_to_the_inbox_are_refused,
}

async fn a_subscription_at_any_qos_is_granted_and_served_at_qos_1() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    for version in VERSIONS {
        for qos in [0, 1, 2] {
            let mut bobby = server
                .connect(&server.user(version, "bobby", "phone"))
                .await?;
            assert_eq!(bobby.subscribe(&[("$im/inbox", qos)]).await?, [1]);
            let mut tablet = user(&server, "bobby", "tablet").await?;
            listen(&mut tablet).await?;
            let text = format!("{version:?}-{qos}");
            say(&mut alice, "bobby", &text).await?;
            let (packet, first) = batch(&mut bobby).await?;
            assert_eq!(packet.qos, 1);
            // It waits for the acknowledgement like any other.
            say(&mut alice, "bobby", &format!("{text} again")).await?;
            items_to(&mut tablet, first.seq + 1).await?;
            tablet.disconnect(0).await?;
            hears_nothing(&mut bobby).await?;
            bobby.puback(packet.id).await?;
            items_to(&mut bobby, first.seq + 1).await?;
            cursor_reaches(&mut bobby, &first.epoch, first.seq + 1).await?;
            bobby.disconnect(0).await?;
        }
    }
    server.discard().await
}

async fn wildcards_under_im_cover_the_inbox() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    for (number, filter) in (1..).zip(["$im/#", "$im/+"]) {
        let mut bobby = user(&server, "bobby", "phone").await?;
        assert_eq!(bobby.subscribe(&[(filter, 0)]).await?, [1], "{filter}");
        say(&mut alice, "bobby", filter).await?;
        let (packet, taken) = batch(&mut bobby).await?;
        assert_eq!(taken.span(), (number - 1, number));
        bobby.puback(packet.id).await?;
        cursor_reaches(&mut bobby, &taken.epoch, number).await?;
        bobby.disconnect(0).await?;
    }
    server.discard().await
}

async fn wildcards_never_show_what_is_for_another_session() -> anyhow::Result<()> {
    let server = server().await?;
    let mut phone = user(&server, "alice", "phone").await?;
    let mut tablet = user(&server, "alice", "tablet").await?;
    let filters = [("$im/#", 1), ("$im/reply", 1), ("$session", 1)];
    let granted = tablet.subscribe(&filters).await?;
    assert!(granted.iter().all(|code| *code < 0x80), "{granted:02x?}");
    for _ in 0..2 {
        // Its own: once unasked, once for the subscription.
        tablet.publish_on("$session").await?;
    }
    phone.ok("$im/session/devices", &json!({})).await?;
    assert!(phone.subscribe(&[("$session", 1)]).await?[0] < 0x80);
    phone.publish_on("$session").await?;
    tablet.ping().await?;
    assert_eq!(tablet.unasked().count(), 0);
    server.discard().await
}

async fn overlapping_subscriptions_deliver_once() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let filters = [("$im/#", 1), ("$im/inbox", 1), ("$im/+", 1)];
    assert_eq!(bobby.subscribe(&filters).await?, [1, 1, 1]);
    for seq in 1..=3 {
        say(&mut alice, "bobby", &seq.to_string()).await?;
        assert_eq!(items_to(&mut bobby, seq).await?.len(), 1);
        hears_nothing(&mut bobby).await?;
    }
    // The delivery stays while one of them does.
    bobby.unsubscribe(&["$im/#", "$im/inbox"]).await?;
    say(&mut alice, "bobby", "4").await?;
    items_to(&mut bobby, 4).await?;
    server.discard().await
}

async fn wildcards_from_the_root_do_not_cover_the_inbox() -> anyhow::Result<()> {
    let server = server_with(OPEN_TOPICS).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let filters = [("#", 1), ("+/inbox", 1), ("+/#", 1)];
    assert_eq!(bobby.subscribe(&filters).await?, [1, 1, 1]);
    let mut tablet = user(&server, "bobby", "tablet").await?;
    listen(&mut tablet).await?;
    say(&mut alice, "bobby", "hello").await?;
    // It is handed out by now, but not to who asked for all but the inbox.
    items_between(&mut tablet, Some(0), 1).await?;
    hears_nothing(&mut bobby).await?;
    listen(&mut bobby).await?;
    let (_, first) = batch(&mut bobby).await?;
    assert_eq!(first.span(), (0, 1));
    server.discard().await
}

async fn shared_subscriptions_to_the_inbox_are_refused() -> anyhow::Result<()> {
    let server = server().await?;
    for (version, refused) in VERSIONS.into_iter().zip([0x80, 0x9e]) {
        let mut bobby = server
            .connect(&server.user(version, "bobby", "phone"))
            .await?;
        let codes = bobby.subscribe(&[("$share/group/$im/inbox", 1)]).await?;
        assert_eq!(codes, [refused]);
    }
    server.discard().await
}
