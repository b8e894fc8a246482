//! Sessions: what is kept between connections, for how long, and who has it.

use partyline_testkit::{ConnectOptions, Version};

use super::property::{SESSION_EXPIRY, WILL_DELAY};
use super::{VERSIONS, broker, client, connect, kept, tells_presence};

#[tokio::test]
async fn subscriptions_and_messages_above_qos_0_are_kept() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut sleeper = broker.client(kept(version, "sleeper")).await.unwrap();
        assert_eq!(sleeper.subscribe(&[("a/#", 2)]).await.unwrap(), [2]);
        sleeper.disconnect(0).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        for qos in [0, 1, 2, 1] {
            publisher
                .publish_done("a/b", [qos], qos, false)
                .await
                .unwrap();
        }
        let (mut sleeper, connack) = connect(&broker, &kept(version, "sleeper")).await;
        assert_eq!(connack.session_present, tells_presence(version));
        for qos in [1, 2, 1] {
            let message = sleeper.take("a/b").await.unwrap();
            assert_eq!(
                (message.qos, &message.payload[..]),
                (qos, &[qos][..]),
                "{version:?}"
            );
            assert!(!message.dup, "it was never sent before");
        }
        sleeper.quiet().await.unwrap();
        // The subscription itself goes on too.
        publisher.publish_done("a", "live", 0, false).await.unwrap();
        assert_eq!(sleeper.take("a").await.unwrap().payload, "live");
        // Clean for the next round.
        client(&broker, version, "sleeper")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_clean_start_forgets_everything() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut sleeper = broker.client(kept(version, "sleeper")).await.unwrap();
        sleeper.subscribe(&[("a", 1)]).await.unwrap();
        sleeper.disconnect(0).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publisher
            .publish_done("a", "queued", 1, false)
            .await
            .unwrap();
        let (mut fresh, connack) = connect(&broker, &ConnectOptions::new(version, "sleeper")).await;
        assert!(!connack.session_present);
        publisher
            .publish_done("a", "later", 1, false)
            .await
            .unwrap();
        fresh.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_session_without_expiry_ends_with_its_connection() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut first = client(&broker, version, "one").await;
        first.subscribe(&[("a", 1)]).await.unwrap();
        first.disconnect(0).await.unwrap();
        let (mut second, connack) = connect(&broker, &kept(version, "one")).await;
        assert!(!connack.session_present, "{version:?}");
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a", "x", 1, false).await.unwrap();
        second.quiet().await.unwrap();
        client(&broker, version, "one")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

/// [MQTT-3.1.2-6] of 3.1.1: its state must not be reused in any later session.
#[tokio::test]
async fn a_session_without_expiry_does_not_outlive_a_takeover() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut first = client(&broker, version, "one").await;
        first.subscribe(&[("a", 1)]).await.unwrap();
        let (mut second, connack) = connect(&broker, &kept(version, "one")).await;
        assert!(!connack.session_present, "{version:?}");
        first.closed().await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a", "x", 1, false).await.unwrap();
        second.quiet().await.unwrap();
        client(&broker, version, "one")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

/// The will of a session is published at its end, and so tells when that was.
#[tokio::test]
async fn a_session_ends_when_its_expiry_has_passed() {
    let broker = broker().await;
    let mut watcher = client(&broker, Version::V5, "watcher").await;
    watcher
        .subscribe(&[("over", 0), ("news", 0)])
        .await
        .unwrap();
    let sleeper = ConnectOptions::new(Version::V5, "sleeper").persistent(1);
    let dying = sleeper
        .clone()
        .will("over", b"", 0, false)
        .will_property(WILL_DELAY, 600_u32.to_be_bytes().to_vec());
    drop(broker.client(dying).await.unwrap());
    watcher.publish_on("over").await.unwrap();
    let (_sleeper, connack) = connect(&broker, &sleeper).await;
    assert!(!connack.session_present);
    broker.stop().await;
}

#[tokio::test]
async fn the_same_device_takes_over_and_the_session_goes_on() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut first = broker.client(kept(version, "one")).await.unwrap();
        first.subscribe(&[("a", 1)]).await.unwrap();
        let (mut second, connack) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(connack.session_present, tells_presence(version));
        if version == Version::V5 {
            assert_eq!(first.disconnected().await.unwrap(), 0x8e);
        }
        first.closed().await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a", "x", 1, false).await.unwrap();
        assert_eq!(second.take("a").await.unwrap().payload, "x");
        second.quiet().await.unwrap();
        client(&broker, version, "one")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn disconnect_may_change_the_expiry() {
    let broker = broker().await;
    for (at_connect, at_disconnect, kept_on) in [(60, 0, false), (60, 120, true), (1, 60, true)] {
        let options = ConnectOptions::new(Version::V5, "one").persistent(at_connect);
        let (mut client, _) = connect(&broker, &options).await;
        client.subscribe(&[("a", 1)]).await.unwrap();
        let expiry = u32::to_be_bytes(at_disconnect);
        client
            .send_packet(0xe0, &[&[0, 5, SESSION_EXPIRY][..], &expiry].concat())
            .await
            .unwrap();
        client.closed().await.unwrap();
        let (client, connack) = connect(&broker, &kept(Version::V5, "one")).await;
        assert_eq!(
            connack.session_present, kept_on,
            "{at_connect} then {at_disconnect}"
        );
        client.disconnect(0).await.unwrap();
        super::client(&broker, Version::V5, "one")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn disconnect_cannot_keep_a_session_that_connect_did_not() {
    let broker = broker().await;
    let mut client = client(&broker, Version::V5, "one").await;
    client
        .send_packet(0xe0, &[0, 5, SESSION_EXPIRY, 0, 0, 0, 60])
        .await
        .unwrap();
    assert_eq!(client.disconnected().await.unwrap(), 0x82);
    client.closed().await.unwrap();
    let (_client, connack) = connect(&broker, &kept(Version::V5, "one")).await;
    assert!(!connack.session_present);
    broker.stop().await;
}

#[tokio::test]
async fn a_session_may_change_its_protocol_between_connections() {
    let broker = broker().await;
    let mut first = broker.client(kept(Version::V5, "one")).await.unwrap();
    first.subscribe(&[("a", 2)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    publisher.publish_done("a", "x", 2, false).await.unwrap();
    let sent = first.publish_on("a").await.unwrap();
    drop(first);
    let (mut second, connack) = connect(&broker, &kept(Version::V311, "one")).await;
    assert!(connack.session_present);
    let again = second.take("a").await.unwrap();
    assert_eq!(
        (again.id, again.dup, &again.payload[..]),
        (sent.id, true, &b"x"[..])
    );
    second.quiet().await.unwrap();
    broker.stop().await;
}
