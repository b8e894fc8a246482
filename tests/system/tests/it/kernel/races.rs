//! Connections that come and go at the same time, on several threads.

use std::collections::BTreeSet;

use partyline_testkit::{ConnectOptions, Version};

use super::{VERSIONS, broker, client, kept};

/// What an old connection takes from the queue while the new one takes over must not be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_lost_while_connections_are_taken_over() {
    const COUNT: u16 = 300;
    let broker = broker().await;
    let mut receiver = broker.client(kept(Version::V5, "receiver")).await.unwrap();
    receiver.subscribe(&[("a", 1)]).await.unwrap();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let publishing = async {
        for number in 0..COUNT {
            publisher
                .publish_done("a", number.to_be_bytes(), 1, false)
                .await
                .unwrap();
        }
    };
    let receiving = async {
        let mut missing: BTreeSet<u16> = (0..COUNT).collect();
        while !missing.is_empty() {
            let old = receiver;
            receiver = broker.client(kept(Version::V5, "receiver")).await.unwrap();
            drop(old);
            for _ in 0..missing.len().min(2) {
                let message = receiver.take("a").await.unwrap();
                missing.remove(&u16::from_be_bytes(message.payload[..].try_into().unwrap()));
            }
        }
    };
    tokio::join!(publishing, receiving);
    broker.stop().await;
}

/// One connection's end and the next one's beginning must not fall into one session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_comes_back_while_the_old_session_ends_has_a_whole_one() {
    let broker = broker().await;
    for round in 0..150 {
        let version = VERSIONS[round % VERSIONS.len()];
        let options = ConnectOptions {
            clean: false,
            ..ConnectOptions::new(Version::V5, "one")
        };
        let brief = if version == Version::V5 {
            options
        } else {
            kept(version, "one")
        };
        let mut old = broker.client(brief.clone()).await.unwrap();
        // Not waited for: the broker ends it while the next one is already there.
        let goodbye: &[u8] = if round % 2 == 0 { &[0xe0, 0] } else { &[] };
        old.send_bytes(goodbye).await.unwrap();
        drop(old);
        let mut new = broker.client(brief).await.unwrap();
        new.subscribe(&[("a", 1)]).await.unwrap();
        new.publish_done("a", "x", 1, false).await.unwrap();
        new.take("a").await.unwrap();
        new.unsubscribe(&["a"]).await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_connections_of_one_device_leave_one() {
    let broker = broker().await;
    for version in VERSIONS {
        let options = || ConnectOptions::new(version, "one");
        let (a, b, c, d) = tokio::join!(
            broker.client(options()),
            broker.client(options()),
            broker.client(options()),
            broker.client(options()),
        );
        let mut alive = 0;
        for mut one in [a, b, c, d].into_iter().flatten() {
            alive += u32::from(one.ping().await.is_ok());
        }
        assert_eq!(alive, 1, "{version:?}");
    }
    broker.stop().await;
}

/// Whoever publishes, the message that is kept is the one that subscribers saw last.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_retained_message_is_the_one_that_came_last() {
    const ROUNDS: usize = 200;
    let broker = broker().await;
    let mut reader = client(&broker, Version::V5, "reader").await;
    reader.subscribe(&[("a", 1)]).await.unwrap();
    let mut one = client(&broker, Version::V5, "one").await;
    let mut other = client(&broker, Version::V5, "other").await;
    for round in 0..ROUNDS {
        let (first, second) = (format!("one {round}"), format!("other {round}"));
        let (one, other) = tokio::join!(
            one.publish_done("a", first, 1, true),
            other.publish_done("a", second, 1, true)
        );
        assert_eq!((one.unwrap(), other.unwrap()), (0, 0));
        reader.take("a").await.unwrap();
        let last = reader.take("a").await.unwrap();
        let mut late = client(&broker, Version::V5, "late").await;
        late.subscribe(&[("a", 1)]).await.unwrap();
        assert_eq!(late.take("a").await.unwrap().payload, last.payload);
    }
    broker.stop().await;
}
