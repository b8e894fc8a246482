//! SUBSCRIBE and UNSUBSCRIBE.

use partyline_testkit::Version;

use super::{VERSIONS, broker, broker_with, by_version, client};

#[tokio::test]
async fn the_granted_qos_is_the_asked_one_and_delivery_the_lower_of_both() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for asked in 0..=2 {
            let mut subscriber = client(&broker, version, "subscriber").await;
            assert_eq!(
                subscriber.subscribe(&[("a", asked)]).await.unwrap(),
                [asked]
            );
            for published in 0..=2 {
                publisher
                    .publish_done("a", "x", published, false)
                    .await
                    .unwrap();
                assert_eq!(
                    subscriber.take("a").await.unwrap().qos,
                    asked.min(published)
                );
            }
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn wildcards_match_as_the_standard_says() {
    let broker = broker().await;
    let topics = ["a", "a/", "/a", "a/b", "a/b/c", "b", "/", "a//c"];
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for (filter, matched) in [
            ("#", &topics[..]),
            ("+", &["a", "b"]),
            ("a/#", &["a", "a/", "a/b", "a/b/c", "a//c"]),
            ("a/+", &["a/", "a/b"]),
            ("+/+", &["a/", "/a", "a/b", "/"]),
            ("/+", &["/a", "/"]),
            ("a/+/c", &["a/b/c", "a//c"]),
            ("+/+/#", &["a/", "/a", "a/b", "a/b/c", "/", "a//c"]),
            ("a/b", &["a/b"]),
        ] {
            let mut subscriber = client(&broker, version, "subscriber").await;
            subscriber.subscribe(&[(filter, 1)]).await.unwrap();
            for topic in topics {
                publisher.publish_done(topic, "x", 1, false).await.unwrap();
            }
            for topic in matched {
                subscriber.take(topic).await.unwrap();
            }
            subscriber.quiet().await.unwrap();
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn overlapping_subscriptions_deliver_once_at_the_highest_qos() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = client(&broker, version, "subscriber").await;
        let filters = [("a/#", 0), ("a/+", 2), ("a/b", 1), ("#", 1)];
        assert_eq!(subscriber.subscribe(&filters).await.unwrap(), [0, 2, 1, 1]);
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("a/b", "x", 2, false).await.unwrap();
        assert_eq!(subscriber.take("a/b").await.unwrap().qos, 2);
        subscriber.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_local_keeps_ones_own_messages_away() {
    let broker = broker().await;
    let mut one = client(&broker, Version::V5, "one").await;
    let mut other = client(&broker, Version::V5, "other").await;
    for filter in ["a", "+"] {
        one.subscribe(&[(filter, 0b101)]).await.unwrap();
        other.subscribe(&[(filter, 0b101)]).await.unwrap();
        one.publish_done("a", "x", 1, false).await.unwrap();
        one.quiet().await.unwrap();
        other.take("a").await.unwrap();
        other.quiet().await.unwrap();
    }
    // A filter without it still wants them.
    one.subscribe(&[("#", 0)]).await.unwrap();
    one.publish_done("a", "x", 1, false).await.unwrap();
    assert_eq!(one.take("a").await.unwrap().qos, 0);
    broker.stop().await;
}

#[tokio::test]
async fn ones_own_messages_come_back_without_no_local() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client.subscribe(&[("a", 2)]).await.unwrap();
        for qos in 0..=2 {
            client.publish_done("a", "x", qos, false).await.unwrap();
            assert_eq!(client.take("a").await.unwrap().qos, qos);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn subscribing_again_replaces_the_qos() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        for filter in ["a", "a/#"] {
            let mut subscriber = client(&broker, version, "subscriber").await;
            for qos in [2, 0, 1] {
                assert_eq!(subscriber.subscribe(&[(filter, qos)]).await.unwrap(), [qos]);
                publisher.publish_done("a", "x", 2, false).await.unwrap();
                assert_eq!(subscriber.take("a").await.unwrap().qos, qos);
                subscriber.quiet().await.unwrap();
            }
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn unsubscribing_ends_it_and_says_what_was_there() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = client(&broker, version, "subscriber").await;
        subscriber
            .subscribe(&[("a", 1), ("b/+", 1), ("c", 1)])
            .await
            .unwrap();
        let codes = subscriber
            .unsubscribe(&["a", "b/+", "never", "#", "$im/inbox"])
            .await
            .unwrap();
        let expected: &[u8] = match version {
            Version::V5 => &[0, 0, 0x11, 0x11, 0x11],
            Version::V31 | Version::V311 => &[],
        };
        assert_eq!(codes, expected);
        let mut publisher = client(&broker, version, "publisher").await;
        for topic in ["a", "b/x", "c"] {
            publisher.publish_done(topic, "x", 1, false).await.unwrap();
        }
        subscriber.take("c").await.unwrap();
        subscriber.quiet().await.unwrap();
    }
    let mut client = client(&broker, Version::V5, "one").await;
    assert_eq!(
        client.unsubscribe(&["a/#/b", "x"]).await.unwrap(),
        [0x8f, 0x11]
    );
    broker.stop().await;
}

#[tokio::test]
async fn each_filter_is_granted_or_refused_by_itself() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut subscriber = client(&broker, version, "subscriber").await;
        let long = "x".repeat(1025);
        let deep = "x/".repeat(32);
        let asked = [
            ("fine", 1, 1),
            ("a/#/b", 1, 0x8f),
            ("a#", 1, 0x8f),
            ("a+/b", 1, 0x8f),
            (&long, 1, 0x8f),
            (&deep, 1, 0x8f),
            ("secret/a", 1, 0x87),
            ("$share/group/a", 1, 1),
            ("$share/group/$im/inbox", 1, 0x9e),
            ("$SYS/#", 1, 0x87),
            ("$im/inbox", 1, 0x87),
            ("$x", 1, 0x87),
            ("fine/too", 2, 2),
        ];
        let filters: Vec<(&str, u8)> = asked.iter().map(|one| (one.0, one.1)).collect();
        let codes = subscriber.subscribe(&filters).await.unwrap();
        for ((filter, _, v5), code) in asked.into_iter().zip(codes) {
            let expected = if v5 < 0x80 {
                v5
            } else {
                by_version(version, v5, 0x80)
            };
            assert_eq!(code, expected, "{version:?}, {filter}");
        }
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("fine", "x", 1, false).await.unwrap();
        subscriber.take("fine").await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_session_has_only_so_many_subscriptions() {
    let broker = broker_with(|config| config.limits.subscriptions = 2).await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let refused = by_version(version, 0x97, 0x80);
        let codes = client
            .subscribe(&[("a", 0), ("b/#", 0), ("c", 0)])
            .await
            .unwrap();
        assert_eq!(codes, [0, 0, refused]);
        assert_eq!(
            client.subscribe(&[("a", 1)]).await.unwrap(),
            [1],
            "it is not a new one"
        );
        client.unsubscribe(&["b/#"]).await.unwrap();
        assert_eq!(
            client.subscribe(&[("c", 0), ("d", 0)]).await.unwrap(),
            [0, refused]
        );
    }
    broker.stop().await;
}
