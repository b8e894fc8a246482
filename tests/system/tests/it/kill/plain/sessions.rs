//! Sessions themselves: their subscriptions, and that some are gone.

use anyhow::ensure;
use partyline_system_tests::Server;
use partyline_testkit::Version;

use super::{clean, connect, kept, kill, on_both};

on_both! {
    a_granted_subscription_survives,
    a_session_that_was_discarded_does_not_come_back,
    a_session_without_expiry_is_gone,
}

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

async fn a_granted_subscription_survives(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        let options = kept(&server, version, "one");
        let (mut one, _) = connect(&server, &options).await?;
        let filters = [("a/+", 2), ("b", 1), ("c/#", 0), ("d", 1)];
        ensure!(one.subscribe(&filters).await? == [2, 1, 0, 1]);
        one.unsubscribe(&["d"]).await?;
        // Changed to another QoS.
        ensure!(one.subscribe(&[("b", 2)]).await? == [2]);
        kill(&mut server).await?;
        let (mut one, connack) = connect(&server, &options).await?;
        ensure!(connack.session_present);
        let (mut publisher, _) = connect(&server, &clean(&server, version, "publisher")).await?;
        for (topic, granted) in [
            ("a/x", Some(2)),
            ("b", Some(2)),
            ("c", Some(0)),
            ("d", None),
        ] {
            publisher.publish_done(topic, topic, 2, false).await?;
            if let Some(granted) = granted {
                let message = one.take(topic).await?;
                ensure!(message.qos == granted, "{topic}: {}", message.qos);
            }
        }
        one.quiet().await?;
        one.disconnect(0).await?;
        let (one, _) = connect(&server, &clean(&server, version, "one")).await?;
        one.disconnect(0).await?;
    }
    server.discard().await
}

async fn a_session_that_was_discarded_does_not_come_back(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        let options = kept(&server, version, "one");
        let (mut one, _) = connect(&server, &options).await?;
        one.subscribe(&[("a", 1)]).await?;
        one.disconnect(0).await?;
        let (mut publisher, _) = connect(&server, &clean(&server, version, "publisher")).await?;
        publisher.publish_done("a", "old", 1, false).await?;
        // Told that there is none, it may rely on it.
        let (fresh, connack) = connect(&server, &clean(&server, version, "one")).await?;
        ensure!(!connack.session_present);
        kill(&mut server).await?;
        drop(fresh);
        let (mut one, connack) = connect(&server, &options).await?;
        ensure!(!connack.session_present);
        one.quiet().await?;
        one.disconnect(0).await?;
        let (one, _) = connect(&server, &clean(&server, version, "one")).await?;
        one.disconnect(0).await?;
    }
    server.discard().await
}

async fn a_session_without_expiry_is_gone(mut server: Server) -> anyhow::Result<()> {
    for version in VERSIONS {
        let (mut one, _) = connect(&server, &clean(&server, version, "one")).await?;
        one.subscribe(&[("a", 1)]).await?;
        kill(&mut server).await?;
        let (one, connack) = connect(&server, &kept(&server, version, "one")).await?;
        ensure!(!connack.session_present);
        one.disconnect(0).await?;
        let (one, _) = connect(&server, &clean(&server, version, "one")).await?;
        one.disconnect(0).await?;
    }
    server.discard().await
}
