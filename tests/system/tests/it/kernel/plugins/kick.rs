//! Ending connections from a plugin.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{
    AuthVerdict, Authenticate, ConnectRequest, HookResult, Kick, Plugin, PluginContext, Qos,
    Registrar,
};
use partyline_protocol::{AppKey, Reason};
use partyline_system_tests::{APP, OTHER_APP, OpenDoor};
use partyline_testkit::{ConnectOptions, Packet, TestBroker, Version};
use serde_json::json;
use tokio::sync::Semaphore;

use super::super::property::{MAXIMUM_PACKET_SIZE, REASON_STRING};
use super::super::{VERSIONS, by_version, client, connect, kept};
use super::demo::{Config, Demo, outgoing, pass};
use super::{demo_broker, device, session};

fn kick(message: &str) -> Kick {
    Kick {
        reason: Reason::AdministrativeAction,
        message: Some(message.to_owned()),
        notice: Some(outgoing("$x/demo/notice", "kicked", Qos::AtMostOnce)),
    }
}

#[tokio::test]
async fn a_kick_says_why_and_closes() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let id = session(&demo, "one").id;
        assert!(demo.broker.kick(id, kick("logged in elsewhere")));
        match (version, client.next().await?) {
            (Version::V5, Packet::Disconnect(reason, properties)) => {
                assert_eq!(reason, 0x98);
                let why = properties.text(REASON_STRING);
                assert_eq!(why.as_deref(), Some("logged in elsewhere"));
            }
            (Version::V31 | Version::V311, Packet::Publish(notice)) => {
                assert_eq!(
                    (&*notice.topic, &notice.payload[..]),
                    ("$x/demo/notice", &b"kicked"[..])
                );
            }
            (_, other) => panic!("{version:?}: {other:?}"),
        }
        assert_eq!(client.next().await?, Packet::Closed);
        assert!(!demo.broker.kick(id, kick("again")), "it is gone");
        assert!(demo.broker.session(id).is_none());
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_reason_string_is_left_out_where_it_would_not_fit() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let options =
        ConnectOptions::new(Version::V5, "one").property(MAXIMUM_PACKET_SIZE, &[0, 0, 0, 64][..]);
    let mut client = broker.client(options).await?;
    demo.broker
        .kick(session(&demo, "one").id, kick(&"very ".repeat(20)));
    let Packet::Disconnect(reason, properties) = client.next().await? else {
        panic!("no DISCONNECT")
    };
    assert_eq!((reason, properties.text(REASON_STRING)), (0x98, None));
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_kicked_session_is_kept_and_its_will_published() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("will", 1)]).await?;
        let options = kept(version, "one").will("will", b"kicked", 1, false);
        let mut first = broker.client(options).await?;
        first.subscribe(&[("a", 1)]).await?;
        demo.broker.kick(session(&demo, "one").id, kick("out"));
        first.closed().await?;
        watcher.take("will").await?;
        let (mut second, _) = connect(&broker, &kept(version, "one")).await;
        watcher.publish_done("a", "x", 1, false).await?;
        second.take("a").await?;
        client(&broker, version, "one").await.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_dropped_app_loses_its_connections_sessions_and_retained_messages() -> anyhow::Result<()>
{
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let of = |app: &str, id: &str| kept(version, id).login(app, "x");
        let mut here = broker
            .client(of(APP, "one").will("a", b"will", 1, true))
            .await?;
        let mut there = broker.client(of(OTHER_APP, "one")).await?;
        for client in [&mut here, &mut there] {
            client.subscribe(&[("a", 1)]).await?;
            client.publish_done("a", "kept", 1, true).await?;
            client.take("a").await?;
        }
        broker.client(of(APP, "away")).await?.disconnect(0).await?;
        demo.broker.drop_app(&AppKey::parse(APP)?);
        if version == Version::V5 {
            assert_eq!(here.disconnected().await?, 0x98);
        }
        here.closed().await?;
        there.quiet().await?;
        for id in ["one", "away"] {
            let (mut again, connack) = connect(&broker, &of(APP, id)).await;
            assert!(!connack.session_present);
            again.subscribe(&[("a", 1)]).await?;
            again.quiet().await?;
        }
        for (app, id) in [(APP, "one"), (APP, "away"), (OTHER_APP, "one")] {
            broker
                .client(ConnectOptions {
                    clean: true,
                    ..of(app, id)
                })
                .await?
                .publish_done("a", "", 1, true)
                .await?;
        }
    }
    broker.stop().await;
    Ok(())
}

/// Lets a client called `late` wait at the door.
struct Porter {
    entered: Semaphore,
    open: Semaphore,
}

#[async_trait]
impl Plugin for Porter {
    const ID: &'static str = "porter";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        let (entered, open) = (Semaphore::new(0), Semaphore::new(0));
        Ok(Self { entered, open })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(self.clone()).authenticate(self.clone());
    }
}

#[async_trait]
impl Authenticate for Porter {
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        if request.client_id.as_str() == "late" {
            self.entered.add_permits(1);
            pass(&self.open).await;
        }
        Ok(AuthVerdict::Next)
    }
}

/// Who was let in before the app was dropped must not live on in it.
#[tokio::test]
async fn a_connect_in_progress_does_not_outlive_its_app() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<Porter>(json!({}))
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .start()
        .await?;
    let porter = broker.services().get::<Porter>()?;
    let demo = broker.services().get::<Demo>()?;
    for version in VERSIONS {
        let options = kept(version, "late");
        let connecting = connect(&broker, &options);
        let dropping = async {
            pass(&porter.entered).await;
            demo.broker.drop_app(&AppKey::parse(APP)?);
            porter.open.add_permits(1);
            anyhow::Ok(())
        };
        let ((mut late, connack), dropped) = tokio::join!(connecting, dropping);
        dropped?;
        assert_eq!(connack.code, by_version(version, 0x89, 3));
        late.closed().await?;
        assert!(demo.broker.session_of(&device("late")).is_none());
    }
    broker.stop().await;
    Ok(())
}
