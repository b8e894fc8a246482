//! A plugin that says that its answers have changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, AuthorizePublish, AuthorizeSubscribe, FilterOptions, HookResult, Message,
    Plugin, PluginContext, Reason, Registrar, SessionInfo, SubscribeRequest,
};
use partyline_system_tests::{APP, OTHER_APP, OpenDoor};
use partyline_testkit::{TestBroker, Version};
use serde_json::{Value, json};

use super::super::{VERSIONS, by_version, client, connect, kept};
use super::demo::{Config, Demo};
use super::filter_faults::Sleepy;
use super::login;
use super::session;
use super::witness::Witness;

/// When it is told to, denies to subscribe to `a` and to publish to `will/denied`.
struct Warden {
    denies: AtomicBool,
}

#[async_trait]
impl Plugin for Warden {
    const ID: &'static str = "warden";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        let denies = AtomicBool::new(false);
        Ok(Self { denies })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .provides(self.clone())
            .authorize_publish(FilterOptions::default(), self.clone())
            .authorize_subscribe(FilterOptions::default(), self.clone());
    }
}

#[async_trait]
impl AuthorizePublish for Warden {
    async fn authorize_publish(
        &self,
        _: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict> {
        let denied = message.topic.as_str() == "will/denied";
        Ok(if denied && self.denies.load(Ordering::SeqCst) {
            AccessVerdict::Deny(Reason::NotAuthorized)
        } else {
            AccessVerdict::Next
        })
    }
}

#[async_trait]
impl AuthorizeSubscribe for Warden {
    async fn authorize_subscribe(
        &self,
        _: &SessionInfo,
        request: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        let denied = self.denies.load(Ordering::SeqCst) && request.filter.as_str() == "a";
        Ok(if denied {
            AccessVerdict::Deny(Reason::NotAuthorized)
        } else {
            AccessVerdict::Next
        })
    }
}

struct World {
    broker: TestBroker,
    warden: Arc<Warden>,
    sleepy: Arc<Sleepy>,
    demo: Arc<Demo>,
}

async fn world(sleepy: Value) -> anyhow::Result<World> {
    let broker = TestBroker::builder()
        .plugin::<Warden>(json!({}))
        .plugin::<Sleepy>(sleepy)
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .start()
        .await?;
    let services = broker.services();
    let (warden, sleepy) = (services.get::<Warden>()?, services.get::<Sleepy>()?);
    let demo = services.get::<Demo>()?;
    Ok(World {
        broker,
        warden,
        sleepy,
        demo,
    })
}

/// The rules change between what they said and what the session remembers.
#[tokio::test]
async fn a_subscribe_on_its_way_is_decided_by_the_new_rules() -> anyhow::Result<()> {
    for version in VERSIONS {
        let world = world(json!({ "deadline_ms": 20_000 })).await?;
        let mut client = client(&world.broker, version, "one").await;
        world.sleepy.sleep();
        let subscribing = client.subscribe(&[("a", 1)]);
        let changing = async {
            world.sleepy.entered().await;
            world.warden.denies.store(true, Ordering::SeqCst);
            world.demo.broker.access_changed(None).await;
            world.sleepy.wake();
        };
        let (codes, ()) = tokio::join!(subscribing, changing);
        assert_eq!(codes?, [by_version(version, 0x87, 0x80)]);
        client.publish_done("a", "x", 1, false).await?;
        client.quiet().await?;
        world.broker.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn only_the_sessions_of_that_app_are_asked_about() -> anyhow::Result<()> {
    let world = world(json!({})).await?;
    let mut here = client(&world.broker, Version::V5, "one").await;
    let other = kept(Version::V5, "one").login(OTHER_APP, "x");
    let mut there = world.broker.client(other).await?;
    for client in [&mut here, &mut there] {
        assert_eq!(client.subscribe(&[("a", 1), ("b", 1)]).await?, [1, 1]);
    }
    world.warden.denies.store(true, Ordering::SeqCst);
    let app = APP.parse()?;
    world.demo.broker.access_changed(Some(&app)).await;
    for (client, kept) in [(&mut here, false), (&mut there, true)] {
        client.publish_done("a", "x", 1, false).await?;
        client.publish_done("b", "x", 1, false).await?;
        if kept {
            client.take("a").await?;
        }
        client.take("b").await?;
        client.quiet().await?;
    }
    world.broker.stop().await;
    Ok(())
}

/// A fault is no denial, but nobody goes on with what may be denied.
#[tokio::test]
async fn a_fault_ends_connections_and_takes_nothing_away() -> anyhow::Result<()> {
    for version in VERSIONS {
        let world = world(json!({ "deny": true })).await?;
        let mut away = world.broker.client(kept(version, "away")).await?;
        away.subscribe(&[("b", 1)]).await?;
        away.disconnect(0).await?;
        let mut one = world.broker.client(kept(version, "one")).await?;
        one.subscribe(&[("b", 1)]).await?;

        world.sleepy.sleep();
        world.demo.broker.access_changed(None).await;
        if version == Version::V5 {
            assert_eq!(one.disconnected().await?, 0x89);
        }
        one.closed().await?;
        world.sleepy.wake();

        let mut publisher = client(&world.broker, version, "publisher").await;
        publisher.publish_done("b", "x", 1, false).await?;
        for id in ["away", "one"] {
            let (mut back, _) = connect(&world.broker, &kept(version, id)).await;
            assert_eq!(back.take("b").await?.payload, "x", "{id}");
        }
        world.broker.stop().await;
    }
    Ok(())
}

/// A will is a message that is still to be published: whoever may not publish it any more leaves
/// none, with a connection or without, whether the rules have changed or the user.
#[tokio::test]
async fn a_will_is_authorized_again() -> anyhow::Result<()> {
    for version in VERSIONS {
        for logs_in in [false, true] {
            let world = world(json!({})).await?;
            let mut watcher = client(&world.broker, version, "watcher").await;
            watcher.subscribe(&[("will/#", 1)]).await?;
            let mut clients = Vec::new();
            for topic in ["will/denied", "will/allowed"] {
                let options = kept(version, topic).will(topic, b"gone", 1, false);
                clients.push(world.broker.client(options).await?);
            }
            world.warden.denies.store(true, Ordering::SeqCst);
            if logs_in {
                for id in ["will/denied", "will/allowed"] {
                    let id = session(&world.demo, id).id;
                    world.demo.broker.set_user(id, Some(login("alice"))).await?;
                }
            } else {
                world.demo.broker.access_changed(None).await;
            }
            for client in clients {
                drop(client);
            }
            assert_eq!(watcher.take("will/allowed").await?.payload, "gone");
            watcher.quiet().await?;
            world.broker.stop().await;
        }
    }
    Ok(())
}

/// The client unsubscribes while the hooks deny what it had: it goes once.
#[tokio::test]
async fn a_subscription_that_goes_twice_is_told_once() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<Warden>(json!({}))
        .plugin::<Sleepy>(json!({ "deadline_ms": 20_000 }))
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Witness>(json!({}))
        .start()
        .await?;
    let services = broker.services();
    let (warden, sleepy) = (services.get::<Warden>()?, services.get::<Sleepy>()?);
    let witness = services.get::<Witness>()?;
    let mut one = client(&broker, Version::V5, "one").await;
    one.subscribe(&[("a", 1), ("b", 1)]).await?;
    sleepy.sleep();
    warden.denies.store(true, Ordering::SeqCst);
    let meanwhile = async {
        // It is asked about `b`.
        sleepy.entered().await;
        one.unsubscribe(&["a"]).await?;
        sleepy.wake();
        anyhow::Ok(())
    };
    let ((), unsubscribed) = tokio::join!(witness.broker.access_changed(None), meanwhile);
    unsubscribed?;
    one.disconnect(0).await?;
    for expected in [
        "session_opened",
        "subscribed a 1",
        "subscribed b 1",
        "unsubscribed a",
        "session_closed disconnected",
    ] {
        assert_eq!(witness.next_of("one").await, expected);
    }
    broker.stop().await;
    Ok(())
}
