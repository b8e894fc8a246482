//! Filters that fail, panic or hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, AuthorizeSubscribe, FilterOptions, HookResult, Kick, OnFault, Plugin,
    PluginContext, Registrar, SessionInfo, SubscribeRequest,
};
use partyline_protocol::Reason;
use partyline_system_tests::OpenDoor;
use partyline_testkit::{TestBroker, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::super::property::WILL_DELAY;
use super::super::{VERSIONS, by_version, client, connect, kept, tells_presence};
use super::demo::{Demo, pass};
use super::filters::{sieve, watcher};
use super::session;
use super::witness::Witness;

/// An access hook that falls asleep.
pub(super) struct Sleepy {
    asleep: AtomicBool,
    config: SleepyConfig,
    /// Calls that found it asleep.
    entered: Semaphore,
    woken: Semaphore,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SleepyConfig {
    deadline_ms: u64,
    deny: bool,
}

impl Default for SleepyConfig {
    fn default() -> Self {
        Self {
            deadline_ms: 400,
            deny: false,
        }
    }
}

impl Sleepy {
    pub(super) fn sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
    }

    /// Waits until a call has found it asleep.
    pub(super) async fn entered(&self) {
        pass(&self.entered).await;
    }

    pub(super) fn wake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        self.woken.add_permits(1);
    }
}

#[async_trait]
impl Plugin for Sleepy {
    const ID: &'static str = "sleepy";
    type Config = SleepyConfig;

    async fn build(_: PluginContext, config: SleepyConfig) -> anyhow::Result<Self> {
        Ok(Self {
            asleep: AtomicBool::new(false),
            config,
            entered: Semaphore::new(0),
            woken: Semaphore::new(0),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let deadline = Duration::from_millis(self.config.deadline_ms);
        let on_fault = if self.config.deny {
            OnFault::Deny
        } else {
            OnFault::Skip
        };
        registrar.provides(self.clone()).authorize_subscribe(
            FilterOptions::default()
                .deadline(deadline)
                .on_fault(on_fault),
            self.clone(),
        );
    }
}

#[async_trait]
impl AuthorizeSubscribe for Sleepy {
    async fn authorize_subscribe(
        &self,
        _: &SessionInfo,
        _: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        if self.asleep.load(Ordering::Relaxed) {
            self.entered.add_permits(1);
            self.woken.acquire().await.expect("never closed").forget();
        }
        Ok(AccessVerdict::Next)
    }
}

/// A broker with it.
async fn sleepy_broker(config: Value) -> anyhow::Result<(TestBroker, Arc<Sleepy>, Arc<Demo>)> {
    let broker = TestBroker::builder()
        .plugin::<Sleepy>(config)
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .start()
        .await?;
    let sleepy = broker.services().get::<Sleepy>()?;
    let demo = broker.services().get::<Demo>()?;
    Ok((broker, sleepy, demo))
}

/// A fault is no denial: what was granted stays, until a hook says otherwise.
#[tokio::test]
async fn a_fault_takes_no_saved_subscription_away() -> anyhow::Result<()> {
    for version in VERSIONS {
        let (broker, sleepy, demo) = sleepy_broker(json!({"deny": true})).await?;
        let mut publisher = client(&broker, version, "publisher").await;
        let mut first = broker.client(kept(version, "one")).await?;
        first.subscribe(&[("a", 1), ("b", 1)]).await?;
        first.disconnect(0).await?;
        publisher.publish_done("a", "queued", 1, false).await?;
        // At a resume, the CONNECT is refused.
        sleepy.sleep();
        let (mut refused, connack) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(connack.code, by_version(version, 0x88, 3));
        refused.closed().await?;
        sleepy.wake();
        let (mut second, connack) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(connack.session_present, tells_presence(version));
        assert_eq!(second.take("a").await?.payload, "queued");
        // At a login, the connection ends.
        sleepy.sleep();
        let id = session(&demo, "one").id;
        assert!(demo.broker.set_user(id, None).await.is_err());
        if version == Version::V5 {
            assert_eq!(second.disconnected().await?, 0x89);
        }
        second.closed().await?;
        sleepy.wake();
        publisher.publish_done("b", "kept", 1, false).await?;
        let (mut third, _) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(third.take("b").await?.payload, "kept");
        broker.stop().await;
    }
    Ok(())
}

/// A resume that is refused is none: the will of who was lost is due as before.
#[tokio::test]
async fn a_refused_resume_leaves_the_delayed_will() -> anyhow::Result<()> {
    let (broker, sleepy, _) = sleepy_broker(json!({"deny": true})).await?;
    let mut watcher = client(&broker, Version::V5, "watcher").await;
    watcher.subscribe(&[("will", 1)]).await?;
    let options = kept(Version::V5, "one")
        .will("will", b"first", 1, false)
        .will_property(WILL_DELAY, 2_u32.to_be_bytes().to_vec());
    let mut first = broker.client(options).await?;
    first.subscribe(&[("a", 1)]).await?;
    drop(first);
    sleepy.sleep();
    let options = kept(Version::V5, "one").will("will", b"second", 1, false);
    let (mut refused, connack) = connect(&broker, &options).await;
    assert_eq!(connack.code, 0x88);
    refused.closed().await?;
    sleepy.wake();
    assert_eq!(watcher.take("will").await?.payload, "first");
    watcher.quiet().await?;
    broker.stop().await;
    Ok(())
}

/// Observers are told how the connection of a refused resume ended, as they were told that it began.
#[tokio::test]
async fn a_refused_resume_is_told_to_its_end() -> anyhow::Result<()> {
    for version in VERSIONS {
        let broker = TestBroker::builder()
            .plugin::<Sleepy>(json!({"deny": true}))
            .plugin::<OpenDoor>(json!({}))
            .plugin::<Witness>(json!({}))
            .start()
            .await?;
        let (sleepy, witness) = (
            broker.services().get::<Sleepy>()?,
            broker.services().get::<Witness>()?,
        );
        let mut first = broker.client(kept(version, "one")).await?;
        first.subscribe(&[("a", 1)]).await?;
        first.disconnect(0).await?;
        sleepy.sleep();
        let (mut refused, connack) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(connack.code, by_version(version, 0x88, 3));
        refused.closed().await?;
        sleepy.wake();
        for expected in [
            "session_opened",
            "subscribed a 1",
            "session_closed disconnected, kept",
            "session_resumed",
            "session_closed ended 0x88, kept",
            "auth_failed 0x88",
        ] {
            assert_eq!(witness.next_of("one").await, expected, "{version:?}");
        }
        broker.stop().await;
    }
    Ok(())
}

/// The user changes between what the hooks say and what the session remembers.
#[tokio::test]
async fn a_subscription_is_decided_for_the_user_who_gets_it() -> anyhow::Result<()> {
    for version in VERSIONS {
        let (broker, sleepy, demo) = sleepy_broker(json!({"deadline_ms": 20_000})).await?;
        let mut client = client(&broker, version, "one").await;
        let id = session(&demo, "one").id;
        demo.broker
            .set_user(id, Some(super::login("alice")))
            .await?;
        sleepy.sleep();
        let subscribing = client.subscribe(&[("members/news", 1)]);
        let logging_out = async {
            sleepy.entered().await;
            demo.broker.set_user(id, None).await?;
            sleepy.wake();
            anyhow::Ok(())
        };
        let (codes, logged_out) = tokio::join!(subscribing, logging_out);
        logged_out?;
        assert_eq!(codes?, [by_version(version, 0x87, 0x80)]);
        client.publish_done("members/news", "x", 1, false).await?;
        client.quiet().await?;
        broker.stop().await;
    }
    Ok(())
}

/// What a connection has read is not carried out after it was told to end.
#[tokio::test]
async fn who_is_kicked_does_not_go_on_with_what_it_sent_before() -> anyhow::Result<()> {
    for version in VERSIONS {
        let (broker, sleepy, demo) = sleepy_broker(json!({"deadline_ms": 20_000})).await?;
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("a", 1)]).await?;
        let mut kicked = client(&broker, version, "one").await;
        sleepy.sleep();
        let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let subscribe = [&[0, 1], properties, &[0, 1, b'b', 1]].concat();
        let publish = [&[0, 1, b'a'], properties, b"x"].concat();
        let mut both = Vec::new();
        for (first, body) in [(0x82, subscribe), (0x30, publish)] {
            both.push(first);
            both.push(u8::try_from(body.len())?);
            both.extend(body);
        }
        kicked.send_bytes(&both).await?;
        sleepy.entered().await;
        let kick = Kick {
            reason: Reason::AdministrativeAction,
            message: None,
            notice: None,
        };
        assert!(demo.broker.kick(session(&demo, "one").id, kick));
        sleepy.wake();
        kicked.closed().await?;
        watcher.quiet().await?;
        broker.stop().await;
    }
    Ok(())
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
        broker.services().get::<Sleepy>()?.sleep();
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
async fn a_filter_that_is_passed_over_leaves_nothing_half_done() -> anyhow::Result<()> {
    for version in VERSIONS {
        let (broker, _) = sieve().await?;
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        for phase in ["rewrite", "validate", "transform"] {
            let topic = format!("skip/{phase}/half");
            assert_eq!(client.publish_done(&topic, "x", 1, false).await?, 0);
            assert_eq!(watcher.take(&topic).await?.payload, "x");
        }
        watcher.quiet().await?;
        watcher.subscribe(&[("skip/#", 1), ("moved", 1)]).await?;
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
