//! Two apps on one broker: whatever they share is a name.

use partyline_system_tests::{APP, OTHER_APP};
use partyline_testkit::{ConnectOptions, RawClient, TestBroker, Version};

use super::{VERSIONS, broker, kept, tells_presence};

/// The same options, in one app and in the other.
async fn both(broker: &TestBroker, options: &ConnectOptions) -> [RawClient; 2] {
    let of = |app| broker.client(options.clone().login(app, "x"));
    [of(APP).await.unwrap(), of(OTHER_APP).await.unwrap()]
}

#[tokio::test]
async fn the_same_client_id_is_two_devices() {
    let broker = broker().await;
    for version in VERSIONS {
        let [mut here, mut there] = both(&broker, &ConnectOptions::new(version, "one")).await;
        here.quiet().await.unwrap();
        there.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_message_crosses_whatever_the_filter() {
    let broker = broker().await;
    for version in VERSIONS {
        let [mut here, mut there] = both(&broker, &ConnectOptions::new(version, "one")).await;
        let filters = [
            ("#", 2),
            ("+/+", 2),
            ("a/b", 2),
            ("a/#", 2),
            ("+", 2),
            ("/#", 2),
            ("+/#", 2),
        ];
        for client in [&mut here, &mut there] {
            assert_eq!(client.subscribe(&filters).await.unwrap(), [2; 7]);
        }
        let prefixed = format!("{OTHER_APP}/a/b");
        for topic in ["a/b", "a", "/", &prefixed] {
            for qos in 0..=2 {
                here.publish_done(topic, "x", qos, false).await.unwrap();
                assert_eq!(here.take(topic).await.unwrap().qos, qos);
            }
        }
        here.quiet().await.unwrap();
        there.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_retained_message_crosses() {
    let broker = broker().await;
    for version in VERSIONS {
        let [mut here, mut there] = both(&broker, &ConnectOptions::new(version, "one")).await;
        here.publish_done("a/b", "here", 1, true).await.unwrap();
        for filter in ["a/b", "#", "+/+"] {
            there.subscribe(&[(filter, 1)]).await.unwrap();
        }
        there.quiet().await.unwrap();
        // Deleting it in one app leaves the other's alone.
        there.publish_done("a/b", "", 1, true).await.unwrap();
        there.take("a/b").await.unwrap();
        here.subscribe(&[("#", 1)]).await.unwrap();
        assert_eq!(here.take("a/b").await.unwrap().payload, "here");
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_will_crosses() {
    let broker = broker().await;
    for version in VERSIONS {
        let watcher = ConnectOptions::new(version, "watcher");
        let [mut here, mut there] = both(&broker, &watcher).await;
        for client in [&mut here, &mut there] {
            client.subscribe(&[("#", 2)]).await.unwrap();
        }
        let mortal = ConnectOptions::new(version, "one").will("will", b"gone", 2, true);
        drop(broker.client(mortal.login(APP, "x")).await.unwrap());
        assert_eq!(here.take("will").await.unwrap().payload, "gone");
        there.quiet().await.unwrap();
        there.subscribe(&[("will", 1)]).await.unwrap();
        there.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_session_crosses() {
    let broker = broker().await;
    for version in VERSIONS {
        let [mut here, there] = both(&broker, &kept(version, "one")).await;
        here.subscribe(&[("a", 1)]).await.unwrap();
        here.disconnect(0).await.unwrap();
        there.disconnect(0).await.unwrap();
        let [mut writer, mut elsewhere] = both(&broker, &ConnectOptions::new(version, "two")).await;
        writer.publish_done("a", "here", 1, false).await.unwrap();
        elsewhere
            .publish_done("a", "there", 1, false)
            .await
            .unwrap();
        // A clean start in one app wipes nothing in the other.
        let clean = ConnectOptions::new(version, "one").login(OTHER_APP, "x");
        let mut there = broker.client(clean).await.unwrap();
        there.quiet().await.unwrap();
        let (mut here, connack) =
            super::connect(&broker, &kept(version, "one").login(APP, "x")).await;
        assert_eq!(connack.session_present, tells_presence(version));
        assert_eq!(here.take("a").await.unwrap().payload, "here");
        here.quiet().await.unwrap();
        let forget = ConnectOptions::new(version, "one").login(APP, "x");
        broker
            .client(forget)
            .await
            .unwrap()
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

/// App keys are case-insensitive: in capitals it is the same app.
#[tokio::test]
async fn an_app_key_in_capitals_is_the_same_app() {
    let broker = broker().await;
    let options = ConnectOptions::new(Version::V5, "one");
    let mut first = broker
        .client(options.clone().login(APP, "x"))
        .await
        .unwrap();
    let capitals = APP.to_uppercase();
    let _second = broker.client(options.login(capitals, "x")).await.unwrap();
    assert_eq!(first.disconnected().await.unwrap(), 0x8e);
    broker.stop().await;
}
