//! What plugins deliver to one session, past the router.

use partyline_plugin::{Delivery, Message, Origin, Qos, TrackedOutcome};
use partyline_protocol::{AppKey, Reason, TopicLimits, TopicName};
use partyline_system_tests::{APP, OTHER_APP};
use partyline_testkit::{ConnectOptions, RawClient, Version};

use super::super::property::{MAXIMUM_PACKET_SIZE, RECEIVE_MAXIMUM, SUBSCRIPTION_ID};
use super::super::{VERSIONS, client, connect, kept};
use super::demo::outgoing;
use super::{demo_broker, session};

const NEWS: &str = "$x/demo/news";

#[tokio::test]
async fn a_delivery_needs_no_subscription_and_has_its_own_qos() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let to = session(&demo, "one").handle();
        for (qos, delivered) in [
            (Qos::AtMostOnce, 0),
            (Qos::AtLeastOnce, 1),
            (Qos::ExactlyOnce, 1),
        ] {
            assert_eq!(
                demo.broker.deliver(to, outgoing(NEWS, "x", qos)),
                Delivery::Queued
            );
            let message = client.take(NEWS).await?;
            assert_eq!(
                (message.qos, message.dup, message.retain),
                (delivered, false, false)
            );
        }
        client.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

/// [MQTT-3.3.4-3] for what plugins deliver.
#[tokio::test]
async fn a_delivery_names_the_subscriptions_that_match_it() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let mut client = client(&broker, Version::V5, "one").await;
    let to = session(&demo, "one").handle();
    let id = |id: u8| [(SUBSCRIPTION_ID, bytes::Bytes::copy_from_slice(&[id]))];
    let expect = async |expected: &[u8], client: &mut RawClient| {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            let queued = demo.broker.deliver(to, outgoing(NEWS, "x", qos));
            assert_eq!(queued, Delivery::Queued);
            let message = client.take(NEWS).await?;
            let ids = message.properties.all(SUBSCRIPTION_ID);
            assert_eq!(ids.map(|id| id[0]).collect::<Vec<_>>(), expected);
        }
        anyhow::Ok(())
    };
    expect(&[], &mut client).await?;
    client.subscribe_with(&[(NEWS, 1)], &id(3)).await?;
    expect(&[3], &mut client).await?;
    client.subscribe_with(&[("$x/demo/#", 1)], &id(9)).await?;
    client
        .subscribe_with(&[("$x/demo/live", 1)], &id(4))
        .await?;
    expect(&[3, 9], &mut client).await?;
    client.subscribe(&[(NEWS, 1)]).await?;
    expect(&[9], &mut client).await?;
    client.unsubscribe(&["$x/demo/#"]).await?;
    expect(&[], &mut client).await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_tracked_delivery_tells_how_it_ended() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let to = session(&demo, "one").handle();
        let deliver = || {
            demo.broker
                .deliver_tracked(to, outgoing(NEWS, "x", Qos::AtLeastOnce))
        };
        let (first, second, third) = (deliver(), deliver(), deliver());
        let ids = [
            client.publish_on(NEWS).await?.id,
            client.publish_on(NEWS).await?.id,
            client.publish_on(NEWS).await?.id,
        ];
        client.puback(ids[1]).await?;
        assert_eq!(second.await, TrackedOutcome::Acked);
        if version == Version::V5 {
            let [high, low] = ids[0].to_be_bytes();
            client.send_packet(0x40, &[high, low, 0x87]).await?;
            assert_eq!(first.await, TrackedOutcome::Refused(Reason::NotAuthorized));
        }
        drop(client);
        assert_eq!(third.await, TrackedOutcome::Gone);
        let gone = demo
            .broker
            .deliver_tracked(to, outgoing(NEWS, "x", Qos::AtLeastOnce));
        assert_eq!(gone.await, TrackedOutcome::Gone);
        assert_eq!(
            demo.broker
                .deliver(to, outgoing(NEWS, "x", Qos::AtMostOnce)),
            Delivery::Gone
        );
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_for_the_client_is_told_so() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let options =
        ConnectOptions::new(Version::V5, "one").property(MAXIMUM_PACKET_SIZE, &[0, 0, 0, 100][..]);
    let mut client = broker.client(options).await?;
    let info = session(&demo, "one");
    assert_eq!(info.max_packet_size, Some(100));
    let large = outgoing(NEWS, vec![b'x'; 100], Qos::AtLeastOnce);
    let large = demo.broker.deliver_tracked(info.handle(), large);
    assert_eq!(large.await, TrackedOutcome::TooLarge);
    client.quiet().await?;
    broker.stop().await;
    Ok(())
}

/// The plugin's own cursor says what comes next, not the session's state.
#[tokio::test]
async fn nothing_delivered_is_kept_over_a_reconnect() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let narrow = kept(version, "one").property(RECEIVE_MAXIMUM, &[0, 1][..]);
        let mut client = broker.client(narrow).await?;
        let to = session(&demo, "one").handle();
        let sent = demo
            .broker
            .deliver_tracked(to, outgoing(NEWS, "sent", Qos::AtLeastOnce));
        let waits = demo
            .broker
            .deliver_tracked(to, outgoing(NEWS, "waits", Qos::AtLeastOnce));
        client.publish_on(NEWS).await?;
        // Another connection takes over.
        let (mut next, _) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(sent.await, TrackedOutcome::Gone);
        if version == Version::V5 {
            assert_eq!(waits.await, TrackedOutcome::Gone);
        }
        next.quiet().await?;
        assert_ne!(session(&demo, "one").id, to.id);
        next.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn deliveries_go_before_routed_messages_that_wait() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.in_flight = 1).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client.subscribe(&[("plain", 1)]).await?;
        for payload in ["1", "2"] {
            client.publish_done("plain", payload, 1, false).await?;
        }
        let first = client.publish_on("plain").await?;
        let to = session(&demo, "one").handle();
        let tracked = demo
            .broker
            .deliver_tracked(to, outgoing(NEWS, "x", Qos::AtLeastOnce));
        client.quiet().await?;
        client.acknowledge(&first).await?;
        let next = client.take(NEWS).await?;
        assert_eq!(tracked.await, TrackedOutcome::Acked);
        assert_eq!(next.payload, "x");
        assert_eq!(client.take("plain").await?.payload, "2");
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_full_queue_refuses_deliveries() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| {
        config.limits.in_flight = 1;
        config.limits.queued_messages = 2;
    })
    .await?;
    let mut client = client(&broker, Version::V5, "one").await;
    let to = session(&demo, "one").handle();
    let deliver = || {
        demo.broker
            .deliver(to, outgoing(NEWS, "x", Qos::AtLeastOnce))
    };
    assert_eq!(deliver(), Delivery::Queued);
    // Sent, and its place in the queue free again.
    let first = client.publish_on(NEWS).await?;
    assert_eq!(
        [deliver(), deliver(), deliver()],
        [Delivery::Queued, Delivery::Queued, Delivery::Full]
    );
    let tracked = demo
        .broker
        .deliver_tracked(to, outgoing(NEWS, "x", Qos::AtLeastOnce));
    assert_eq!(tracked.await, TrackedOutcome::Full);
    client.acknowledge(&first).await?;
    client.take(NEWS).await?;
    client.take(NEWS).await?;
    client.quiet().await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_published_message_is_routed_and_retained_in_its_app() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.retained_messages = 1).await?;
    let (app, other) = (AppKey::parse(APP)?, AppKey::parse(OTHER_APP)?);
    let message = |topic: &str, retain| {
        let topic = TopicName::parse(topic, &TopicLimits::default()).expect("a topic");
        let mut message = Message::new(topic, "x", Origin::Plugin("demo"));
        (message.qos, message.retain) = (Qos::AtLeastOnce, retain);
        message
    };
    for version in VERSIONS {
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("a", 2)]).await?;
        demo.broker.publish(&app, message("a", true)).await?;
        demo.broker.publish(&other, message("a", false)).await?;
        assert_eq!(watcher.take("a").await?.qos, 1);
        watcher.quiet().await?;
        watcher.subscribe(&[("a", 2)]).await?;
        assert!(watcher.take("a").await?.retain);
        assert!(
            demo.broker.publish(&app, message("b", true)).await.is_err(),
            "one is the limit"
        );
        assert!(
            demo.broker
                .publish(&app, message("$x/demo/news", false))
                .await
                .is_err()
        );
        // Clean for the next round.
        watcher.publish_done("a", "", 1, true).await?;
        watcher.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}
