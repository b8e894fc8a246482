//! Outlets: who may listen, and when a plugin is told.

use partyline_testkit::Version;

use super::super::{VERSIONS, by_version, client, connect, kept};
use super::demo::Told;
use super::{demo_broker, device};

const NEWS: &str = "$x/demo/news";
const LIVE: &str = "$x/demo/live";

fn told(topic: &'static str, what: &'static str) -> Told {
    (topic, what, "one".to_owned(), None)
}

#[tokio::test]
async fn the_outlets_own_qos_is_granted_whatever_was_asked() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        for asked in 0..=2 {
            assert_eq!(
                client.subscribe(&[(NEWS, asked), (LIVE, asked)]).await?,
                [1, 0]
            );
            for topic in [NEWS, LIVE] {
                assert_eq!(demo.told().await, told(topic, "opened"));
            }
        }
        client.disconnect(0).await?;
        for topic in [NEWS, LIVE] {
            assert_eq!(demo.told().await, told(topic, "closed"));
        }
    }
    assert!(demo.told_nothing().await);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_wildcard_opens_what_it_covers_and_the_audience_hears() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        for filter in ["$x/#", "$x/demo/#", "$x/+/+", "$x/demo/+"] {
            let mut client = client(&broker, version, "one").await;
            assert_eq!(
                client.subscribe(&[(filter, 0)]).await?,
                [1],
                "the highest of both"
            );
            for what in ["opened", "closed"] {
                for topic in [NEWS, LIVE] {
                    if what == "closed" && topic == NEWS {
                        client.unsubscribe(&[filter]).await?;
                    }
                    assert_eq!(demo.told().await, told(topic, what), "{filter}");
                }
            }
            client.disconnect(0).await?;
        }
        let mut client = client(&broker, version, "one").await;
        let refused = by_version(version, 0x87, 0x80);
        // The app's servers have outlets of their own; wildcards in front match nothing under $.
        for filter in [
            "$x/demo/staff",
            "$x/demo",
            "$x",
            "$x/other/#",
            "$x/demo/news/#/",
        ] {
            let codes = client.subscribe(&[(filter, 1)]).await?;
            let invalid = by_version(version, 0x8f, 0x80);
            assert_eq!(
                codes,
                [if filter.ends_with("#/") {
                    invalid
                } else {
                    refused
                }],
                "{filter}"
            );
        }
        assert_eq!(
            client.subscribe(&[("#", 1), ("+/demo/news", 1)]).await?,
            [1, 1]
        );
        assert!(demo.told_nothing().await);
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn it_closes_when_the_last_covering_filter_goes() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let mut client = client(&broker, Version::V5, "one").await;
    client.subscribe(&[(NEWS, 1), ("$x/demo/#", 1)]).await?;
    for topic in [NEWS, NEWS, LIVE] {
        assert_eq!(demo.told().await, told(topic, "opened"));
    }
    assert_eq!(client.unsubscribe(&["$x/demo/#"]).await?, [0]);
    assert_eq!(demo.told().await, told(LIVE, "closed"));
    assert_eq!(
        client.unsubscribe(&["$x/demo/#", NEWS, NEWS]).await?,
        [0x11, 0, 0x11]
    );
    assert_eq!(demo.told().await, told(NEWS, "closed"));
    client.disconnect(0).await?;
    assert!(demo.told_nothing().await);
    broker.stop().await;
    Ok(())
}

/// Subscriptions under `$` belong to the connection, not to the session.
#[tokio::test]
async fn every_end_of_a_connection_closes_and_none_is_kept() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut first = broker.client(kept(version, "one")).await?;
        first.subscribe(&[(NEWS, 1), ("plain", 1)]).await?;
        assert_eq!(demo.told().await, told(NEWS, "opened"));
        // Taken over.
        let mut second = broker.client(kept(version, "one")).await?;
        assert_eq!(demo.told().await, told(NEWS, "closed"));
        second.quiet().await?;
        second.subscribe(&[(NEWS, 1)]).await?;
        assert_eq!(demo.told().await, told(NEWS, "opened"));
        // Lost.
        drop(second);
        assert_eq!(demo.told().await, told(NEWS, "closed"));
        // Broke the protocol.
        let (mut third, _) = connect(&broker, &kept(version, "one")).await;
        third.subscribe(&[(NEWS, 1)]).await?;
        assert_eq!(demo.told().await, told(NEWS, "opened"));
        third.send_bytes(&[0xff, 0]).await?;
        assert_eq!(demo.told().await, told(NEWS, "closed"));
        client(&broker, version, "one").await.disconnect(0).await?;
    }
    assert!(demo.told_nothing().await);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn they_count_as_subscriptions_of_their_own() -> anyhow::Result<()> {
    let (broker, _) = demo_broker(|config| config.limits.subscriptions = 1).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let full = by_version(version, 0x97, 0x80);
        let codes = client
            .subscribe(&[(NEWS, 1), (NEWS, 1), (LIVE, 0), ("plain", 1)])
            .await?;
        assert_eq!(codes, [1, 1, full, 1]);
    }
    broker.stop().await;
    Ok(())
}

/// Its session is left in order all the same: the will comes, and nobody is found there.
#[tokio::test]
async fn an_outlet_that_panics_harms_nobody_else() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let mut watcher = client(&broker, Version::V5, "watcher").await;
    watcher.subscribe(&[("will", 1)]).await?;
    for version in VERSIONS {
        let options = kept(version, "panicky").will("will", b"", 1, false);
        let mut client = broker.client(options).await?;
        assert_eq!(client.subscribe(&[(NEWS, 1), (LIVE, 0)]).await?, [1, 0]);
        client.quiet().await?;
        drop(client);
        watcher.take("will").await?;
        for what in ["opened", "closed"] {
            for topic in [NEWS, LIVE] {
                let told = demo.told().await;
                assert_eq!((told.0, told.1), (topic, what));
            }
        }
        assert!(demo.broker.session_of(&device("panicky")).is_none());
    }
    broker.stop().await;
    Ok(())
}
