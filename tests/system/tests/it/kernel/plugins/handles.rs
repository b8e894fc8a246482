//! What plugins do to sessions, subscriptions and retained messages.

use std::sync::atomic::{AtomicU32, Ordering};

use partyline_plugin::{
    Gone, Message, Origin, PublishError, Qos, SessionId, SubscribeError, SubscriptionOptions,
};
use partyline_protocol::AppKey;
use partyline_system_tests::{APP, OTHER_APP, OpenDoor};
use partyline_testkit::{ConnectOptions, TestBroker, Version};
use serde_json::json;

use super::super::{VERSIONS, client, connect, kept};
use super::bouncer::{filter, topic};
use super::witness::Witness;
use super::{Demo, demo_broker, login, session};

fn app() -> AppKey {
    AppKey::parse(APP).expect("an app key")
}

#[tokio::test]
async fn a_plugin_subscribes_on_behalf_of_a_session() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.subscriptions = 2).await?;
    let options = SubscriptionOptions::new(Qos::AtLeastOnce);
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a", "kept", 1, true).await?;
        let mut one = broker.client(kept(version, "one")).await?;
        let id = session(&demo, "one").id;
        // Access hooks are not asked, limits hold.
        for name in ["a", "secret/x"] {
            let granted = demo.broker.subscribe(id, filter(name), options).await;
            assert_eq!(granted, Ok(Qos::AtLeastOnce));
        }
        let more = demo.broker.subscribe(id, filter("b"), options).await;
        assert_eq!(more, Err(SubscribeError::TooMany));
        assert!(one.take("a").await?.retain);
        let again = demo.broker.subscribe(id, filter("a"), options).await;
        assert_eq!(again, Ok(Qos::AtLeastOnce));
        let outlet = demo.broker.subscribe(id, filter("$x/demo/news"), options);
        assert_eq!(outlet.await, Err(SubscribeError::ReservedTopic));
        assert!(one.take("a").await?.retain, "asked for twice");
        let secret = Message::new(topic("secret/x"), "x", Origin::System);
        demo.broker.publish(&app(), secret).await?;
        assert_eq!(one.take("secret/x").await?.payload, "x");
        // It is kept with the session, and the access hooks decide when it is resumed.
        one.disconnect(0).await?;
        let gone = demo.broker.subscribe(id, filter("b"), options).await;
        assert_eq!(gone, Err(SubscribeError::Gone(Gone)));
        let (mut one, _) = connect(&broker, &kept(version, "one")).await;
        let secret = Message::new(topic("secret/x"), "x", Origin::System);
        demo.broker.publish(&app(), secret).await?;
        publisher.publish_done("a", "more", 1, false).await?;
        assert_eq!(one.take("a").await?.payload, "more");
        one.quiet().await?;
        let id = session(&demo, "one").id;
        assert_eq!(demo.broker.unsubscribe(id, &filter("a")).await, Ok(true));
        assert_eq!(demo.broker.unsubscribe(id, &filter("a")).await, Ok(false));
        publisher.publish_done("a", "late", 1, false).await?;
        one.quiet().await?;
        one.disconnect(0).await?;
        client(&broker, version, "one").await.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_subscription_that_changes_nothing_is_not_told() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .plugin::<Witness>(json!({}))
        .start()
        .await?;
    let demo = broker.services().get::<Demo>()?;
    let witness = broker.services().get::<Witness>()?;
    let one = client(&broker, Version::V5, "one").await;
    let id = session(&demo, "one").id;
    let qos = [Qos::AtLeastOnce, Qos::AtLeastOnce, Qos::AtMostOnce];
    for qos in qos {
        let options = SubscriptionOptions::new(qos);
        let granted = demo.broker.subscribe(id, filter("a"), options).await;
        assert_eq!(granted, Ok(qos));
    }
    one.disconnect(0).await?;
    for expected in ["session_opened", "subscribed a 1", "subscribed a 0"] {
        assert_eq!(witness.next_of("one").await, expected);
    }
    let closed = witness.next_of("one").await;
    assert!(closed.starts_with("session_closed"), "{closed}");
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_plugin_keeps_reads_and_clears_retained_messages() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.retained_messages = 1).await?;
    let mut watcher = client(&broker, Version::V5, "watcher").await;
    watcher.subscribe(&[("#", 1)]).await?;
    let message = |name, payload: &'static str| {
        let mut message = Message::new(topic(name), payload, Origin::System);
        message.qos = Qos::AtLeastOnce;
        message
    };
    let kept = async |name| demo.broker.retained(&app(), &topic(name)).await;
    assert!(kept("a").await.is_none());
    demo.broker.retain(&app(), message("a", "one")).await?;
    let found = kept("a").await.expect("it is kept");
    assert_eq!(
        (&found.payload[..], found.qos),
        (&b"one"[..], Qos::AtLeastOnce)
    );
    assert_eq!(found.origin, Origin::Plugin("demo"));
    // Nobody gets it but who asks, and no other app has it.
    watcher.quiet().await?;
    let other = AppKey::parse(OTHER_APP)?;
    assert!(demo.broker.retained(&other, &topic("a")).await.is_none());
    let mut late = client(&broker, Version::V5, "late").await;
    late.subscribe(&[("a", 1)]).await?;
    assert_eq!(late.take("a").await?.payload, "one");
    for (name, error) in [
        ("b", PublishError::RetainedFull),
        ("$x/demo/news", PublishError::ReservedTopic),
    ] {
        let refused = demo.broker.retain(&app(), message(name, "two")).await;
        assert_eq!(refused, Err(error));
    }
    demo.broker.clear_retained(&app(), &topic("a")).await?;
    assert!(kept("a").await.is_none());
    demo.broker.retain(&app(), message("b", "two")).await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_sessions_of_an_app_are_read_in_pages() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let mut clients = Vec::new();
    for number in 0..5 {
        clients.push(client(&broker, Version::V311, &format!("c{number}")).await);
        let stranger = ConnectOptions::new(Version::V5, "stranger").login(OTHER_APP, "");
        clients.push(broker.client(stranger).await?);
    }
    let mut pages = Vec::new();
    let mut after: Option<SessionId> = None;
    loop {
        let page = demo.broker.sessions_in(&app(), after, 2);
        let ids = page.iter().map(|one| one.device.client_id.to_string());
        pages.push(ids.collect::<Vec<_>>());
        if page.len() < 2 {
            break;
        }
        after = page.last().map(|one| one.id);
    }
    assert_eq!(pages, [vec!["c0", "c1"], vec!["c2", "c3"], vec!["c4"]]);
    broker.stop().await;
    Ok(())
}

#[derive(Default)]
struct Visits(AtomicU32);

#[tokio::test]
async fn what_a_plugin_keeps_with_a_connection_ends_with_it() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let one = broker.client(kept(Version::V5, "one")).await?;
    let visits = || {
        let visits = session(&demo, "one").extensions.get_or_default::<Visits>();
        visits.0.fetch_add(1, Ordering::Relaxed)
    };
    assert_eq!((visits(), visits()), (0, 1));
    let id = session(&demo, "one").id;
    demo.broker.set_user(id, Some(login("alice"))).await?;
    assert_eq!(visits(), 2, "it outlives a login");
    one.disconnect(0).await?;
    let (_one, connack) = connect(&broker, &kept(Version::V5, "one")).await;
    assert!(connack.session_present);
    assert_eq!(visits(), 0);
    broker.stop().await;
    Ok(())
}
