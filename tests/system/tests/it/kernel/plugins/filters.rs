//! Publish filters: phases and verdicts.

use std::sync::Arc;

use partyline_system_tests::OpenDoor;
use partyline_testkit::{RawClient, TestBroker, Version};
use serde_json::json;

use super::super::{VERSIONS, by_version, client};
use super::sieve::Sieve;

const ALL: [&str; 6] = [
    "rewrite",
    "authorize",
    "validate",
    "transform",
    "transform-2",
    "handle",
];

pub(super) async fn sieve() -> anyhow::Result<(TestBroker, Arc<Sieve>)> {
    let broker = TestBroker::builder()
        .plugin::<Sieve>(json!({}))
        .plugin::<OpenDoor>(json!({}))
        .start()
        .await?;
    let sieve = broker.services().get::<Sieve>()?;
    Ok((broker, sieve))
}

pub(super) async fn watcher(broker: &TestBroker, version: Version) -> anyhow::Result<RawClient> {
    let mut watcher = client(broker, version, "watcher").await;
    watcher.subscribe(&[("#", 2)]).await?;
    Ok(watcher)
}

#[tokio::test]
async fn filters_stand_in_the_order_of_their_phases() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    for version in VERSIONS {
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        for qos in 0..=2 {
            assert_eq!(
                client
                    .publish_done("deny/none/next", "x", qos, false)
                    .await?,
                0
            );
            assert_eq!(watcher.take("deny/none/next").await?.qos, qos);
            assert_eq!(sieve.calls(), ALL);
        }
        client.publish_done("elsewhere", "x", 1, false).await?;
        assert!(sieve.calls().is_empty(), "it is in no filter's scope");
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_rejected_or_consumed_message_goes_no_further() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    for version in VERSIONS {
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        for (place, phase) in ALL.into_iter().enumerate() {
            for (action, reason) in [("reject", 0x97), ("consume", 0)] {
                for qos in 0..=2 {
                    let topic = format!("deny/{phase}/{action}");
                    let told = client.publish_done(&topic, "x", qos, true).await?;
                    let expected = if qos == 0 {
                        0
                    } else {
                        by_version(version, reason, 0)
                    };
                    assert_eq!(told, expected, "{version:?}, {topic}");
                    assert_eq!(sieve.calls(), ALL[..=place]);
                }
            }
        }
        client.quiet().await?;
        watcher.quiet().await?;
        // Nor was it retained.
        watcher.subscribe(&[("deny/#", 1)]).await?;
        watcher.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn accept_passes_the_other_filters_of_its_phase() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    let mut watcher = watcher(&broker, Version::V5).await?;
    let mut client = client(&broker, Version::V5, "one").await;
    client
        .publish_done("deny/transform/accept", "x", 1, false)
        .await?;
    watcher.take("deny/transform/accept").await?;
    assert_eq!(
        sieve.calls(),
        ["rewrite", "authorize", "validate", "transform", "handle"]
    );
    // Before authorization it allows nothing by itself.
    client
        .publish_done("deny/rewrite/accept", "x", 1, false)
        .await?;
    watcher.take("deny/rewrite/accept").await?;
    assert_eq!(sieve.calls(), ALL);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_filter_may_end_the_connection() -> anyhow::Result<()> {
    let (broker, _) = sieve().await?;
    for version in VERSIONS {
        let mut watcher = watcher(&broker, version).await?;
        for qos in 0..=2 {
            let mut client = client(&broker, version, "one").await;
            client
                .publish("deny/validate/disconnect", "x", qos, false)
                .await?;
            if version == Version::V5 {
                assert_eq!(client.disconnected().await?, 0x96);
            }
            client.closed().await?;
        }
        watcher.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_rewritten_is_what_is_authorized_and_routed() -> anyhow::Result<()> {
    let (broker, _) = sieve().await?;
    for version in VERSIONS {
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        client
            .publish_done("deny/rewrite/topic", "x", 1, false)
            .await?;
        assert_eq!(watcher.take("moved").await?.payload, "x");
        for phase in ["rewrite", "transform", "handle"] {
            let topic = format!("deny/{phase}/payload");
            client.publish_done(&topic, "x", 2, false).await?;
            assert_eq!(watcher.take(&topic).await?.payload, "rewritten");
        }
        let told = client
            .publish_done("deny/rewrite/secret", "x", 1, false)
            .await?;
        assert_eq!(told, by_version(version, 0x87, 0));
        watcher.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_rewritten_topic_keeps_to_the_limits() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    for version in VERSIONS {
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        let told = client
            .publish_done("deny/rewrite/deep", "x", 1, false)
            .await?;
        assert_eq!(told, by_version(version, 0x90, 0));
        assert_eq!(sieve.calls(), ["rewrite"]);
        watcher.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn no_filter_says_where_a_message_comes_from() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    let mut watcher = watcher(&broker, Version::V5).await?;
    let mut client = client(&broker, Version::V5, "one").await;
    for phase in ["rewrite", "validate", "handle"] {
        let topic = format!("deny/{phase}/forge");
        client.publish_done(&topic, "x", 1, false).await?;
        watcher.take(&topic).await?;
        assert_eq!(sieve.calls(), ALL);
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn after_authorization_topic_qos_and_retain_stay() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    for version in VERSIONS {
        let mut watcher = watcher(&broker, version).await?;
        let mut client = client(&broker, version, "one").await;
        for phase in ["authorize", "validate", "transform", "handle"] {
            let topic = format!("deny/{phase}/address");
            for qos in 1..=2 {
                client.publish_done(&topic, "x", qos, false).await?;
                assert_eq!(watcher.take(&topic).await?.qos, qos);
                assert_eq!(sieve.calls(), ALL, "the others see it too");
            }
        }
        watcher.quiet().await?;
        // Nothing was retained.
        watcher.subscribe(&[("deny/#", 1), ("moved", 1)]).await?;
        watcher.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_repeated_qos_2_message_is_filtered_once() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        for dup in [false, true, true] {
            client
                .send_publish(3, "deny/none/next", b"x", 2, false, dup, &[])
                .await?;
            assert_eq!(client.acked(5, 3).await?, 0);
        }
        assert_eq!(sieve.calls(), ALL);
        client.ack(6, 3).await?;
        client.acked(7, 3).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn commands_meet_filters_too_but_no_access_rules() -> anyhow::Result<()> {
    let (broker, sieve) = sieve().await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        assert_eq!(
            client
                .publish_done("$x/sieve/hello", "{}", 1, false)
                .await?,
            0
        );
        client.publish_on("$x/sieve/answers").await?;
        assert_eq!(sieve.calls(), ALL);
        client.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}
