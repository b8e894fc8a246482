//! Wills: when they are published, when not, and how.

use partyline_testkit::{ConnectOptions, RawClient, TestBroker, Version};

use super::property::{CONTENT_TYPE, WILL_DELAY};
use super::{VERSIONS, broker, client, connect};

/// Somebody who hears every will, and whose silence means that none came.
async fn watcher(broker: &TestBroker) -> RawClient {
    let mut watcher = client(broker, Version::V5, "watcher").await;
    watcher.subscribe(&[("will/#", 2)]).await.unwrap();
    watcher
}

fn mortal(version: Version, id: &str) -> ConnectOptions {
    ConnectOptions::new(version, id).will(&format!("will/{id}"), b"gone", 1, false)
}

fn delayed(id: &str, secs: u32) -> ConnectOptions {
    mortal(Version::V5, id)
        .persistent(60)
        .will_property(WILL_DELAY, secs.to_be_bytes().to_vec())
}

#[tokio::test]
async fn is_published_when_the_socket_is_lost() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for version in VERSIONS {
        drop(broker.client(mortal(version, "one")).await.unwrap());
        let will = watcher.take("will/one").await.unwrap();
        assert_eq!(
            (&will.payload[..], will.qos, will.retain),
            (&b"gone"[..], 1, false)
        );
        watcher.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn is_published_when_nothing_comes_for_the_keep_alive() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for version in VERSIONS {
        let mut options = mortal(version, "one");
        options.keep_alive = 1;
        let mut silent = broker.client(options).await.unwrap();
        if version == Version::V5 {
            assert_eq!(silent.disconnected().await.unwrap(), 0x8d);
        }
        silent.closed().await.unwrap();
        watcher.take("will/one").await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn is_published_after_a_protocol_error() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for version in VERSIONS {
        let mut client = broker.client(mortal(version, "one")).await.unwrap();
        client.send_bytes(&[0xf1, 0]).await.unwrap();
        client.closed().await.unwrap();
        watcher.take("will/one").await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn is_published_at_a_takeover() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for version in VERSIONS {
        for clean in [true, false] {
            let _old = broker.client(mortal(version, "one")).await.unwrap();
            let mut options = ConnectOptions::new(version, "one").persistent(60);
            options.clean = clean;
            let _new = broker.client(options).await.unwrap();
            watcher.take("will/one").await.unwrap();
            watcher.quiet().await.unwrap();
        }
        client(&broker, version, "one")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn is_dropped_by_a_disconnect() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for version in VERSIONS {
        let client = broker.client(mortal(version, "one")).await.unwrap();
        client.disconnect(0).await.unwrap();
        // Nor does it come when the session is taken up again.
        broker
            .client(ConnectOptions::new(version, "one"))
            .await
            .unwrap();
        watcher.quiet().await.unwrap();
    }
    let mut implied = broker.client(mortal(Version::V5, "one")).await.unwrap();
    implied.send_bytes(&[0xe0, 0]).await.unwrap();
    implied.closed().await.unwrap();
    watcher.quiet().await.unwrap();
    broker.stop().await;
}

/// MQTT 5 §3.1.2.5: only the reason 0x00 deletes it.
#[tokio::test]
async fn is_published_after_a_disconnect_with_another_reason() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for reason in [0x04, 0x80, 0x83, 0x93, 0x98] {
        let client = broker.client(mortal(Version::V5, "one")).await.unwrap();
        client.disconnect(reason).await.unwrap();
        watcher.take("will/one").await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn has_its_qos_retain_and_properties() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    for version in VERSIONS {
        let options = ConnectOptions::new(version, "one")
            .will("will/kept", b"gone", 2, true)
            .will_property(CONTENT_TYPE, &b"\x00\x04text"[..]);
        drop(broker.client(options).await.unwrap());
        let will = watcher.take("will/kept").await.unwrap();
        assert_eq!((will.qos, will.retain), (2, false));
        let expected = (version == Version::V5).then(|| "text".to_owned());
        assert_eq!(will.properties.text(CONTENT_TYPE), expected);
        let mut late = client(&broker, version, "late").await;
        late.subscribe(&[("will/kept", 2)]).await.unwrap();
        let kept = late.take("will/kept").await.unwrap();
        assert!(kept.retain && kept.qos == 2);
        late.disconnect(0).await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn waits_for_its_delay_and_is_cancelled_by_a_reconnect() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    // Long enough to come back in time on a busy machine.
    let back = broker.client(delayed("back", 4)).await.unwrap();
    let away = broker.client(delayed("away", 5)).await.unwrap();
    drop((back, away));
    // Both are gone for the broker once they are seen to be taken up again or not.
    let (back, connack) = connect(&broker, &delayed("back", 1)).await;
    assert!(connack.session_present);
    watcher.quiet().await.unwrap();
    // When the longer delay has passed, the shorter one would have passed as well.
    watcher.take("will/away").await.unwrap();
    watcher.quiet().await.unwrap();
    // The new connection has a will of its own.
    drop(back);
    watcher.take("will/back").await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn a_delayed_will_comes_at_once_when_the_session_ends() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    // The session has no expiry, so it ends with the connection.
    let brief =
        mortal(Version::V5, "brief").will_property(WILL_DELAY, 600_u32.to_be_bytes().to_vec());
    drop(broker.client(brief).await.unwrap());
    watcher.take("will/brief").await.unwrap();
    // A clean start ends it.
    drop(broker.client(delayed("long", 600)).await.unwrap());
    let _fresh = client(&broker, Version::V5, "long").await;
    watcher.take("will/long").await.unwrap();
    // A clean start that takes over ends it too.
    let _old = broker.client(delayed("long", 600)).await.unwrap();
    let _new = client(&broker, Version::V5, "long").await;
    watcher.take("will/long").await.unwrap();
    watcher.quiet().await.unwrap();
    broker.stop().await;
}

/// MQTT 5 §3.1.3.2.2: a takeover that goes on with the session counts as a reconnect.
#[tokio::test]
async fn a_delayed_will_is_cancelled_by_a_takeover_that_resumes() {
    let broker = broker().await;
    let mut watcher = watcher(&broker).await;
    let _old = broker.client(delayed("one", 1)).await.unwrap();
    let plain = ConnectOptions::new(Version::V5, "one").persistent(60);
    let _new = broker.client(plain).await.unwrap();
    drop(broker.client(delayed("clock", 2)).await.unwrap());
    watcher.take("will/clock").await.unwrap();
    watcher.quiet().await.unwrap();
    broker.stop().await;
}
