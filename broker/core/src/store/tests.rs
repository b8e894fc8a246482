//! One suite for both databases.

mod random;
mod world;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::database::{Database, Pool};
use partyline_plugin::{Clock, Qos};
use partyline_testkit::{Backend, ScratchDatabase};

use self::world::{World, key, options, publication, topic};
use super::*;
use crate::session::{Attachment, Matched};

/// Runs each test on SQLite and on PostgreSQL, each time on a database of its own.
macro_rules! on_both {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::on(partyline_testkit::Backend::Sqlite, super::$module::$name).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::on(partyline_testkit::Backend::Postgres, super::$module::$name).await;
            })+
        }
    };
}

on_both! {
    cases::everything_is_read_back,
    cases::what_is_gone_leaves_nothing,
    cases::a_message_that_was_acknowledged_in_time_touches_no_disk,
    cases::the_last_retained_message_wins,
    cases::a_dropped_app_keeps_nothing,
    cases::long_topics_and_packets_are_kept,
    cases::expired_messages_are_not_read_back,
    cases::the_writer_wakes_who_waits_and_flushes_at_the_end,
    random::what_is_read_is_what_was_committed,
}

async fn on<F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(Database) -> F) {
    let with_tables = async |database: Database| {
        database.migrate(KERNEL, MIGRATIONS).await.unwrap();
        test(database).await;
    };
    ScratchDatabase::run(backend, with_tables).await.unwrap();
}

/// Rows in all tables.
async fn rows(database: &Database) -> Vec<(&'static str, i64)> {
    let mut counts = Vec::new();
    for (table, count) in [
        ("session", "SELECT count(*) FROM mqtt_session"),
        ("subscription", "SELECT count(*) FROM mqtt_subscription"),
        ("message", "SELECT count(*) FROM mqtt_message"),
        ("queue", "SELECT count(*) FROM mqtt_queue"),
        ("received", "SELECT count(*) FROM mqtt_received"),
        ("retained", "SELECT count(*) FROM mqtt_retained"),
    ] {
        let count: Result<i64, _> = match database.pool() {
            Pool::Sqlite { reader, .. } => sqlx::query_scalar(count).fetch_one(reader).await,
            Pool::Postgres(pool) => sqlx::query_scalar(count).fetch_one(pool).await,
        };
        counts.push((table, count.unwrap()));
    }
    counts.retain(|(_, count)| *count > 0);
    counts
}

mod cases {
    use super::*;

    pub(super) async fn everything_is_read_back(database: Database) {
        let mut world = World::load(&database, Clock::default()).await;
        world.open("one");
        world.open("two");
        let will = publication("will", "gone", Qos::AtLeastOnce);
        world.save("one", Some(77), Some((&will.message, 30)));
        world.subscribe("one", "a/+", 0b10_1110);
        world.subscribe("one", "b", 1);
        world.subscribe("one", "b", 2);
        world.subscribe_with_id("two", "$share/group/a/#", 268_435_455);
        let message = publication("t", "hello", Qos::ExactlyOnce);
        world.queue("one", &message, Qos::ExactlyOnce, true);
        world.queue("two", &message, Qos::AtLeastOnce, false);
        let other = publication("t", "other", Qos::AtLeastOnce);
        world.queue("one", &other, Qos::AtLeastOnce, false);
        world.queue("one", &other, Qos::AtLeastOnce, false);
        let shared = Matched {
            ids: vec![NonZeroU32::MIN, NonZeroU32::new(77).unwrap()],
            share: Some(world::filter("$share/group/a/#")),
        };
        let shared = Some(Arc::new(shared));
        world.queue_for("two", &other, Qos::AtLeastOnce, true, shared);
        world.sent("one", 0, 500);
        world.sent("one", 1, 501);
        world.received("one", 0);
        world.receive("two", 9);
        world.receive("two", 10);
        world.release("two", 9);
        world.retain("r/1", "kept");
        world.commit(&database).await;
        let expected = world.model();
        // One body for each of the two messages.
        let messages = rows(&database).await;
        assert!(messages.contains(&("message", 2)), "{messages:?}");
        let read = World::load(&database, Clock::default()).await;
        assert_eq!(read.model(), expected);
    }

    pub(super) async fn what_is_gone_leaves_nothing(database: Database) {
        let mut world = World::load(&database, Clock::default()).await;
        for id in ["one", "two"] {
            world.open(id);
            world.subscribe(id, "a", 1);
            world.receive(id, 5);
        }
        let message = publication("t", "hello", Qos::AtLeastOnce);
        for id in ["one", "one", "two"] {
            world.queue(id, &message, Qos::AtLeastOnce, false);
        }
        world.retain("r", "kept");
        world.commit(&database).await;
        assert_eq!(rows(&database).await.len(), 6);
        world.end("one");
        world.commit(&database).await;
        let left = rows(&database).await;
        assert!(left.contains(&("session", 1)), "{left:?}");
        assert!(left.contains(&("message", 1)), "{left:?}");
        world.drop_queued("two", 0);
        world.unsubscribe("two", "a");
        world.release("two", 5);
        world.retain("r", "");
        drop(message);
        world.commit(&database).await;
        assert_eq!(rows(&database).await, [("session", 1)]);
        world.end("two");
        world.commit(&database).await;
        assert_eq!(rows(&database).await, []);
    }

    pub(super) async fn a_message_that_was_acknowledged_in_time_touches_no_disk(
        database: Database,
    ) {
        let mut world = World::load(&database, Clock::default()).await;
        world.open("one");
        world.commit(&database).await;
        let before = database.commits();
        for _ in 0..10 {
            let message = publication("t", "hello", Qos::AtLeastOnce);
            world.queue("one", &message, Qos::AtLeastOnce, false);
            world.sent("one", 0, 1);
            world.drop_queued("one", 0);
        }
        let ticket = world.journal.latest();
        world.commit(&database).await;
        assert!(world.journal.is_committed(ticket), "nobody waits for ever");
        assert_eq!(database.commits(), before);
        // Nor does a session that was not there for long.
        world.open("brief");
        world.subscribe("brief", "a", 1);
        let message = publication("t", "hello", Qos::AtLeastOnce);
        world.queue("brief", &message, Qos::AtLeastOnce, false);
        world.end("brief");
        drop(message);
        world.commit(&database).await;
        assert_eq!(database.commits(), before);
    }

    pub(super) async fn the_last_retained_message_wins(database: Database) {
        let mut world = World::load(&database, Clock::default()).await;
        for payload in ["1", "2", "3"] {
            world.retain("a", payload);
        }
        world.retain("b", "1");
        world.retain("b", "");
        world.commit(&database).await;
        assert_eq!(rows(&database).await, [("retained", 1)]);
        let read = World::load(&database, Clock::default()).await;
        assert_eq!(read.retained(), [("a".to_owned(), "3".to_owned())]);
        world.retain("a", "4");
        world.commit(&database).await;
        let read = World::load(&database, Clock::default()).await;
        assert_eq!(read.retained(), [("a".to_owned(), "4".to_owned())]);
    }

    pub(super) async fn a_dropped_app_keeps_nothing(database: Database) {
        let mut world = World::load(&database, Clock::default()).await;
        world.retain("a", "1");
        world.commit(&database).await;
        world.retain("b", "2");
        world.drop_app();
        // What an app of this name retains later stays.
        world.retain("c", "3");
        world.commit(&database).await;
        let read = World::load(&database, Clock::default()).await;
        assert_eq!(read.retained(), [("c".to_owned(), "3".to_owned())]);
    }

    /// Longer than an index of PostgreSQL takes, and with bytes that are no text.
    pub(super) async fn long_topics_and_packets_are_kept(database: Database) {
        let mut world = World::load(&database, Clock::default()).await;
        world.open("one");
        // Random, so that it cannot be compressed.
        let long: String = (0..60_000)
            .map(|_| char::from(b'a' + rand::random::<u8>() % 26))
            .collect();
        world.subscribe("one", &long, 1);
        world.subscribe("one", "quote\"back\\slash/ünï/✓", 2);
        world.retain(&long, "kept");
        let payload: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let message = world::binary(topic(&long), payload);
        world.queue("one", &message, Qos::AtLeastOnce, false);
        world.commit(&database).await;
        let read = World::load(&database, Clock::default()).await;
        assert_eq!(read.model(), world.model());
    }

    pub(super) async fn expired_messages_are_not_read_back(database: Database) {
        let clock = Clock::default();
        let mut world = World::load(&database, clock.clone()).await;
        world.open("one");
        for (secs, payload) in [(10, "brief"), (1000, "long")] {
            let message = world::expiring("t", payload, secs);
            world.queue("one", &message, Qos::AtLeastOnce, false);
            world.retain_message(payload, &world::expiring(payload, "x", secs));
        }
        let sent = world::expiring("t", "sent", 10);
        world.queue("one", &sent, Qos::AtLeastOnce, false);
        world.sent("one", 2, 7);
        world.commit(&database).await;
        clock.advance_ms(500_000);
        let mut read = World::load(&database, clock.clone()).await;
        // What was sent before it expired is sent again ([MQTT-4.4.0-1]).
        assert_eq!(read.payloads("one"), ["long", "sent"]);
        assert_eq!(read.retained(), [("long".to_owned(), "x".to_owned())]);
        let rest = read.expiry("one", 0).unwrap();
        assert!(rest > Duration::from_secs(450) && rest < Duration::from_secs(501));
        // And the rows of the others go.
        read.commit(&database).await;
        let left = rows(&database).await;
        assert_eq!(
            left,
            [
                ("session", 1),
                ("message", 2),
                ("queue", 2),
                ("retained", 1)
            ]
        );
    }

    pub(super) async fn the_writer_wakes_who_waits_and_flushes_at_the_end(database: Database) {
        let journal = Arc::new(Journal::new(Clock::default()));
        let writer = Writer::spawn(&journal, database.clone());
        let attachment = Arc::new(Attachment::new(world::info(&key("one")), 60, 0));
        let rows_of = SessionRows::new(&journal);
        rows_of.save(world::record("one"), true);
        let filter = world::filter("a");
        let ticket = rows_of.subscribe(&filter, options(1));
        journal.wake_at(ticket, &attachment);
        attachment.signal.woken().await;
        assert!(journal.is_committed(ticket));
        // Who comes later is woken at once.
        journal.wake_at(ticket, &attachment);
        attachment.signal.woken().await;
        let ticket = rows_of.unsubscribe(&filter);
        journal.committed(ticket).await;
        assert_eq!(rows(&database).await, [("session", 1)]);
        rows_of.receive(4);
        writer.stop(Duration::from_secs(10)).await;
        assert_eq!(rows(&database).await, [("session", 1), ("received", 1)]);
        // Nothing is promised any more.
        let late = rows_of.receive(5);
        assert!(!journal.is_committed(late));
    }
}

/// Without a database: what waits does so for the right batch.
mod tickets {
    use super::*;

    #[test]
    fn a_ticket_is_committed_with_its_batch_and_not_before() {
        let journal = Arc::new(Journal::new(Clock::default()));
        assert!(journal.is_committed(journal.latest()), "nothing is pending");
        let rows = SessionRows::new(&journal);
        let first = rows.save(world::record("one"), true);
        assert_eq!(journal.latest(), first);
        let (number, _) = journal.take();
        assert_eq!(journal.latest(), first, "it is still being written");
        let second = rows.receive(1);
        assert!(second > first);
        journal.written(number);
        assert!(journal.is_committed(first) && !journal.is_committed(second));
    }

    #[test]
    fn messages_are_refused_while_too_much_waits() {
        let journal = Arc::new(Journal::new(Clock::default()));
        let mut rows = SessionRows::new(&journal);
        rows.save(world::record("one"), true);
        let mut held = Vec::new();
        while journal.has_room() {
            let message = world::binary(topic("t"), vec![0; 200_000]);
            held.push(rows.queue(&message, Qos::AtLeastOnce, false, None).unwrap());
            assert!(held.len() < 1000, "there is a bound");
        }
        assert!(held.len() > 300, "it is no narrow one");
        let (number, _) = journal.take();
        assert!(journal.has_room(), "what is being written does not count");
        journal.written(number);
    }

    /// What belongs together is never parted.
    #[test]
    fn a_batch_is_not_taken_in_the_middle() {
        let journal = Arc::new(Journal::new(Clock::default()));
        let rows = SessionRows::new(&journal);
        let together = journal.together();
        let first = rows.receive(1);
        std::thread::scope(|scope| {
            let taking = scope.spawn(|| journal.take().0);
            // Until it stands before the door, which then lets nobody else in.
            while journal.is_open() {
                std::thread::yield_now();
            }
            let second = rows.receive(2);
            assert_eq!(first, second);
            drop(together);
            assert_eq!(taking.join().unwrap(), 1);
        });
    }
}
