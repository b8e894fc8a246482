//! What outlives the process, over stops and starts of it: kill -9 has tests of its own.

use partyline_plugin::Clock;
use partyline_plugin::database::{Database, Pool};
use partyline_system_tests::OpenDoor;
use partyline_testkit::{ConnectOptions, Packet, TestBroker, Version};
use serde_json::json;
use tempfile::TempDir;

use super::property::{MESSAGE_EXPIRY, WILL_DELAY};
use super::{VERSIONS, broker, broker_with, client, connect, kept};

/// A broker on the data that another left.
async fn on(folder: TempDir, clock: &Clock) -> TestBroker {
    TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .clock(clock.clone())
        .folder(folder)
        .start()
        .await
        .unwrap()
}

/// Nothing is written until it is let go.
async fn silenced(database: &Database) -> impl Drop + use<> {
    match database.pool() {
        Pool::Sqlite { writer, .. } => writer.acquire().await.unwrap(),
        Pool::Postgres(_) => unreachable!("the tests here are on SQLite"),
    }
}

#[tokio::test]
async fn clean_sessions_touch_no_disk() {
    let broker = broker().await;
    let database = broker.database().clone();
    let before = database.commits();
    for version in VERSIONS {
        let mut reader = client(&broker, version, "reader").await;
        reader.subscribe(&[("a/#", 2)]).await.unwrap();
        let mortal = ConnectOptions::new(version, "mortal").will("a/will", b"gone", 1, false);
        drop(broker.client(mortal).await.unwrap());
        reader.take("a/will").await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        for qos in 0..=2 {
            publisher
                .publish_done("a/b", "x", qos, false)
                .await
                .unwrap();
            assert_eq!(reader.take("a/b").await.unwrap().qos, qos);
        }
        reader.unsubscribe(&["a/#"]).await.unwrap();
        reader.disconnect(0).await.unwrap();
    }
    // A stop writes what nobody waited for.
    broker.stop().await;
    assert_eq!(database.commits(), before);
}

/// A resume is refused while the disk does not answer, and then is none: the will of who was lost is
/// due as before.
#[tokio::test]
async fn a_resume_that_the_disk_refuses_leaves_the_delayed_will() {
    let broker = broker_with(|config| config.limits.command_timeout = 1).await;
    let database = broker.database().clone();
    let mut watcher = client(&broker, Version::V5, "watcher").await;
    watcher.subscribe(&[("will", 1)]).await.unwrap();
    let options = kept(Version::V5, "one")
        .will("will", b"first", 1, false)
        .will_property(WILL_DELAY, 2_u32.to_be_bytes().to_vec());
    drop(broker.client(options).await.unwrap());
    {
        let _silenced = silenced(&database).await;
        let options = kept(Version::V5, "one").will("will", b"second", 1, false);
        let (mut refused, connack) = connect(&broker, &options).await;
        assert_eq!(connack.code, 0x88);
        refused.closed().await.unwrap();
    }
    assert_eq!(watcher.take("will").await.unwrap().payload, "first");
    watcher.quiet().await.unwrap();
    // The session is still there.
    let (_back, connack) = connect(&broker, &kept(Version::V5, "one")).await;
    assert!(connack.session_present);
    broker.stop().await;
}

/// A message that is acknowledged while it is still in memory costs its publisher's commit at most.
#[tokio::test]
async fn many_messages_share_a_commit() {
    let broker = broker().await;
    let database = broker.database().clone();
    let mut sleeper = broker.client(kept(Version::V5, "sleeper")).await.unwrap();
    sleeper.subscribe(&[("a", 1)]).await.unwrap();
    sleeper.disconnect(0).await.unwrap();
    let before = database.commits();
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    let mut ids = Vec::new();
    for n in 0..50_u8 {
        ids.push(publisher.publish("a", [n], 1, false).await.unwrap());
    }
    for id in ids {
        assert_eq!(publisher.acked(4, id).await.unwrap(), 0);
    }
    let commits = database.commits() - before;
    assert!((1..=25).contains(&commits), "{commits} commits of 50");
    broker.stop().await;
}

#[tokio::test]
async fn a_stop_loses_nothing() {
    let clock = Clock::default();
    let mut folder = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        let first = on(folder, &clock).await;
        let mut sleeper = first.client(kept(version, "sleeper")).await.unwrap();
        sleeper.subscribe(&[("a", 2)]).await.unwrap();
        let mut publisher = client(&first, version, "publisher").await;
        publisher.publish_done("a", "sent", 1, false).await.unwrap();
        let sent = sleeper.publish_on("a").await.unwrap();
        sleeper.disconnect(0).await.unwrap();
        for qos in [1, 2] {
            publisher
                .publish_done("a", [qos], qos, false)
                .await
                .unwrap();
        }
        let second = on(first.stop().await, &clock).await;
        let (mut sleeper, _) = connect(&second, &kept(version, "sleeper")).await;
        let again = sleeper.take("a").await.unwrap();
        assert_eq!((again.id, again.dup), (sent.id, true));
        for qos in [1, 2] {
            let message = sleeper.take("a").await.unwrap();
            assert_eq!((message.qos, &message.payload[..]), (qos, &[qos][..]));
        }
        sleeper.quiet().await.unwrap();
        sleeper.disconnect(0).await.unwrap();
        let gone = client(&second, version, "sleeper").await;
        gone.disconnect(0).await.unwrap();
        folder = second.stop().await;
    }
}

#[tokio::test]
async fn time_goes_on_while_nothing_runs() {
    let clock = Clock::default();
    let first = on(tempfile::tempdir().unwrap(), &clock).await;
    for (id, expiry) in [("brief", 60), ("long", 600)] {
        let options = ConnectOptions::new(Version::V5, id).persistent(expiry);
        let mut sleeper = first.client(options).await.unwrap();
        sleeper.subscribe(&[("a", 1)]).await.unwrap();
        sleeper.disconnect(0).await.unwrap();
    }
    let mortal = kept(Version::V5, "mortal")
        .will("will", b"gone", 1, true)
        .will_property(WILL_DELAY, 30_u32.to_be_bytes().to_vec());
    drop(first.client(mortal).await.unwrap());
    let mut publisher = client(&first, Version::V5, "publisher").await;
    for (id, payload, secs) in [(1, "short-lived", 50_u32), (2, "long-lived", 500)] {
        let expiry = [(MESSAGE_EXPIRY, secs.to_be_bytes().to_vec().into())];
        let payload = payload.as_bytes();
        for (id, topic, retain) in [(id, "a", false), (id + 10, payload_topic(secs), true)] {
            publisher
                .send_publish(id, topic, payload, 1, retain, false, &expiry)
                .await
                .unwrap();
            assert_eq!(publisher.acked(4, id).await.unwrap(), 0);
        }
    }
    let folder = first.stop().await;
    clock.advance_ms(100_000);
    let second = on(folder, &clock).await;
    let (brief, connack) = connect(&second, &kept(Version::V5, "brief")).await;
    assert!(!connack.session_present, "its time was over");
    drop(brief);
    let (mut long, connack) = connect(&second, &kept(Version::V5, "long")).await;
    assert!(connack.session_present);
    let message = long.take("a").await.unwrap();
    assert_eq!(message.payload, "long-lived");
    let rest = message.properties.get(MESSAGE_EXPIRY).unwrap();
    let rest = u32::from_be_bytes(rest[..].try_into().unwrap());
    assert!((390..=400).contains(&rest), "{rest} s of 500 are left");
    long.quiet().await.unwrap();
    let mut reader = client(&second, Version::V5, "reader").await;
    reader
        .subscribe(&[("retained/#", 1), ("will", 1)])
        .await
        .unwrap();
    assert_eq!(
        reader.take("retained/500").await.unwrap().payload,
        "long-lived"
    );
    assert_eq!(reader.take("will").await.unwrap().payload, "gone");
    reader.quiet().await.unwrap();
    second.stop().await;
}

fn payload_topic(secs: u32) -> &'static str {
    if secs == 50 {
        "retained/50"
    } else {
        "retained/500"
    }
}

/// While the database is silent nothing is acknowledged that would have to be stored, and the rest
/// goes on.
#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_stored() {
    let broker = broker_with(|config| config.limits.command_timeout = 2).await;
    for version in VERSIONS {
        let mut sleeper = broker.client(kept(version, "sleeper")).await.unwrap();
        sleeper.subscribe(&[("a", 2)]).await.unwrap();
        sleeper.disconnect(0).await.unwrap();
        let mut publisher = client(&broker, version, "publisher").await;
        let silence = silenced(broker.database()).await;
        let waiting = publisher.publish("a", "one", 1, false).await.unwrap();
        let behind = publisher.publish("nobody", "two", 1, false).await.unwrap();
        publisher.ping().await.unwrap();
        assert_eq!(publisher.unasked().count(), 0, "{version:?}");
        // A clean session's business has nothing to do with it.
        let mut other = client(&broker, version, "other").await;
        other.publish_done("nobody", "x", 2, false).await.unwrap();
        drop(silence);
        for id in [waiting, behind] {
            assert_eq!(publisher.acked(4, id).await.unwrap(), 0);
        }
        // For too long, it ends the connection.
        let silence = silenced(broker.database()).await;
        publisher.publish("a", "three", 1, false).await.unwrap();
        if version == Version::V5 {
            assert_eq!(publisher.disconnected().await.unwrap(), 0x83);
        }
        publisher.closed().await.unwrap();
        drop(silence);
        client(&broker, version, "sleeper")
            .await
            .disconnect(0)
            .await
            .unwrap();
    }
    broker.stop().await;
}

/// What cannot be stored any more is refused.
#[tokio::test]
async fn a_journal_that_is_full_refuses_messages() {
    let broker = broker_with(|config| {
        config.limits.packet_bytes = 9 * 1024 * 1024;
        config.limits.queued_bytes = 1 << 30;
        config.limits.command_timeout = 60;
    })
    .await;
    let mut sleeper = broker.client(kept(Version::V5, "sleeper")).await.unwrap();
    sleeper.subscribe(&[("a", 1)]).await.unwrap();
    sleeper.disconnect(0).await.unwrap();
    let silence = silenced(broker.database()).await;
    // One batch is being written, and one more fills.
    let mut waiting = Vec::new();
    loop {
        let id = format!("filler-{}", waiting.len());
        let mut filler = client(&broker, Version::V5, &id).await;
        let id = filler
            .publish("a", vec![0; 8 * 1024 * 1024], 1, false)
            .await
            .unwrap();
        filler.ping().await.unwrap();
        if filler
            .unasked()
            .any(|packet| matches!(packet, Packet::AckWith(4, of, 0x97, _) if *of == id))
        {
            break;
        }
        assert!(
            waiting.len() < 20,
            "there is a bound, {:?}",
            filler.unasked().collect::<Vec<_>>()
        );
        waiting.push((filler, id));
    }
    for version in VERSIONS {
        let mut publisher = client(&broker, version, "publisher").await;
        assert_eq!(
            publisher
                .publish_done("nobody", "x", 1, false)
                .await
                .unwrap(),
            0
        );
        let id = publisher.publish("a", "x", 1, false).await.unwrap();
        if version == Version::V5 {
            assert_eq!(publisher.acked(4, id).await.unwrap(), 0x97);
            assert_eq!(
                publisher.publish_done("r", "x", 2, true).await.unwrap(),
                0x97
            );
        } else {
            publisher.closed().await.unwrap();
        }
    }
    drop(silence);
    let mut publisher = client(&broker, Version::V5, "publisher").await;
    // Once that is written there is room again.
    for (mut filler, id) in waiting {
        assert_eq!(filler.acked(4, id).await.unwrap(), 0);
    }
    assert_eq!(publisher.publish_done("a", "x", 1, false).await.unwrap(), 0);
    broker.stop().await;
}

/// A client that takes its session up again takes it from the disk for good if it wants none.
#[tokio::test]
async fn a_session_that_is_not_to_outlive_its_connection_is_stored_no_more() {
    let clock = Clock::default();
    let first = on(tempfile::tempdir().unwrap(), &clock).await;
    let mut sleeper = first.client(kept(Version::V5, "sleeper")).await.unwrap();
    sleeper.subscribe(&[("a", 1)]).await.unwrap();
    sleeper.disconnect(0).await.unwrap();
    let mut publisher = client(&first, Version::V5, "publisher").await;
    publisher.publish_done("a", "x", 1, false).await.unwrap();
    let options = ConnectOptions::new(Version::V5, "sleeper").persistent(0);
    let (mut sleeper, connack) = connect(&first, &options).await;
    assert!(connack.session_present);
    assert_eq!(sleeper.take("a").await.unwrap().payload, "x");
    let second = on(first.stop().await, &clock).await;
    let (_sleeper, connack) = connect(&second, &kept(Version::V5, "sleeper")).await;
    assert!(!connack.session_present);
    second.stop().await;
}
