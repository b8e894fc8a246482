//! Filters that fail, panic or hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, AuthorizeSubscribe, FilterOptions, HookResult, OnFault, Plugin, PluginContext,
    Registrar, SessionInfo, SubscribeRequest,
};
use partyline_system_tests::OpenDoor;
use partyline_testkit::{TestBroker, Version};
use serde_json::json;

use super::super::{VERSIONS, by_version, client, connect, kept, tells_presence};
use super::demo::Config;
use super::filters::{sieve, watcher};

/// An access hook that falls asleep.
#[derive(Default)]
struct Sleepy(AtomicBool);

#[async_trait]
impl Plugin for Sleepy {
    const ID: &'static str = "sleepy";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self::default())
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let (deadline, on_fault) = (Duration::from_millis(400), OnFault::Skip);
        registrar
            .provides(self.clone())
            .authorize_subscribe(FilterOptions { deadline, on_fault }, self.clone());
    }
}

#[async_trait]
impl AuthorizeSubscribe for Sleepy {
    async fn authorize_subscribe(
        &self,
        _: &SessionInfo,
        _: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        if self.0.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(AccessVerdict::Next)
    }
}

/// Its subscriptions are authorized again one by one, for longer than a CONNECT may take.
#[tokio::test]
async fn slow_access_hooks_leave_a_resumed_session_whole() -> anyhow::Result<()> {
    for version in VERSIONS {
        let broker = TestBroker::builder()
            .plugin::<Sleepy>(json!({}))
            .plugin::<OpenDoor>(json!({}))
            .config(|config| config.mqtt.connect_timeout = 1)
            .start()
            .await?;
        let mut first = broker.client(kept(version, "one")).await?;
        let filters = [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)];
        first.subscribe(&filters).await?;
        first.disconnect(0).await?;
        broker
            .services()
            .get::<Sleepy>()?
            .0
            .store(true, Ordering::Relaxed);
        let (mut second, connack) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(connack.session_present, tells_presence(version));
        second.publish_done("e", "x", 1, false).await?;
        assert_eq!(second.take("e").await?.payload, "x");
        broker.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_fault_denies_or_passes_over_as_registered() -> anyhow::Result<()> {
    for version in VERSIONS {
        // A broker each: faults of one version must not open the breaker for the next.
        let (broker, _) = sieve().await?;
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        for action in ["error", "panic", "late-panic", "hang"] {
            let denied = format!("deny/validate/{action}");
            let told = client.publish_done(&denied, "x", 1, false).await?;
            assert_eq!(told, by_version(version, 0x83, 0), "{action}");
            let passed = format!("skip/validate/{action}");
            assert_eq!(client.publish_done(&passed, "x", 1, false).await?, 0);
            assert_eq!(watcher.take(&passed).await?.payload, "x");
        }
        client.quiet().await?;
        watcher.quiet().await?;
        broker.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_filter_that_waits_within_its_deadline_is_no_fault() -> anyhow::Result<()> {
    let (broker, _) = sieve().await?;
    let mut client = client(&broker, Version::V5, "one").await;
    for _ in 0..20 {
        assert_eq!(
            client
                .publish_done("patient/handle/wait", "x", 1, false)
                .await?,
            0
        );
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn five_faults_open_the_breaker_of_that_filter_alone() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    let mut client = client(&broker, Version::V5, "one").await;
    for policy in ["deny", "skip"] {
        let (faulty, fine) = (
            format!("{policy}/transform/error"),
            format!("{policy}/none/next"),
        );
        let told = |fault| if fault { 0x83 } else { 0 };
        for _ in 0..5 {
            let denied = policy == "deny";
            assert_eq!(
                client.publish_done(&faulty, "x", 1, false).await?,
                told(denied)
            );
            assert!(sieve.calls().contains(&"transform"));
        }
        // Now it is not called any more, and its policy decides for every message.
        let reason = client.publish_done(&fine, "x", 1, false).await?;
        assert_eq!(reason, told(policy == "deny"));
        let calls = sieve.calls();
        assert!(!calls.contains(&"transform"), "{calls:?}");
        assert!(calls.contains(&"validate"));
        assert_eq!(calls.contains(&"transform-2"), policy == "skip");
    }
    assert_eq!(client.publish_done("elsewhere", "x", 1, false).await?, 0);
    broker.stop().await;
    Ok(())
}
