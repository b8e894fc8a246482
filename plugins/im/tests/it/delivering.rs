//! `$im/inbox`.

use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use partyline_plugin::database::Database;
use partyline_plugin::{SessionInfo, TrackedOutcome};
use partyline_protocol::{Configured, Seq, names};
use serde_json::json;

use crate::support::database::{self, hold_cursors};
use crate::support::fixture::{self, Client, text_to};
use crate::support::{Fixture, on_both, user};

on_both!(
    nothing_is_sent_before_a_subscription,
    a_subscription_is_answered_when_its_place_is_fixed,
    overlapping_subscriptions_wait_for_the_same_place,
    a_batch_without_room_goes_again,
    what_can_not_be_read_blocks_nothing,
    offline_messages_come_in_order,
    one_batch_at_a_time,
    each_batch_begins_where_the_last_one_ended,
    what_falls_out_of_memory_comes_from_the_store,
    a_closed_delivery_goes_on_from_the_cursor,
    a_refused_batch_comes_again_when_asked_for,
    a_message_for_online_devices_is_not_kept_for_others,
    an_expired_message_is_passed_over,
    retention_leaves_gaps,
    configure_delivers_without_a_subscription,
    a_login_ends_the_delivery_of_the_one_before,
    a_deleted_user_gets_nothing_more,
    sessions_that_ended_without_a_word_are_forgotten,
);

/// Takes batches until the stream has reached `head`; gives the texts.
async fn receive(client: &mut Client, head: u64) -> Vec<String> {
    let mut texts = Vec::new();
    let mut place = None;
    loop {
        let batch = client.next().await;
        let (prev, seq) = batch.span();
        assert!(
            place.is_none_or(|place| place == prev),
            "no gap and no way back"
        );
        place = Some(seq);
        texts.extend(batch.texts().into_iter().map(|(_, text)| text));
        batch.ack();
        if seq >= head {
            return texts;
        }
    }
}

async fn nothing_is_sent_before_a_subscription(database: Database) {
    let fixture = Fixture::new(database).await;
    let (mut bobby, mut witness) = (fixture.client("bobby", "b1"), fixture.client("bobby", "b2"));
    // A session that the plugin knows, and a place that is stored.
    bobby.subscribe().await;
    bobby.unsubscribe().await;
    witness.subscribe().await;
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m1", "hello").await.unwrap();
    bobby.hears_nothing(&mut witness, 1).await;
    alice.send("bobby", "m2", "again").await.unwrap();
    bobby.hears_nothing(&mut witness, 2).await;
    bobby.subscribe().await;
    let batch = bobby.next().await;
    assert_eq!(batch.span(), (0, 2), "one batch, and none before it");
    assert_eq!(batch.texts().len(), 2);
    alice.send("bobby", "m3", "and again").await.unwrap();
    bobby.hears_nothing(&mut witness, 3).await;
    batch.ack();
    assert_eq!(bobby.next().await.span(), (2, 3));
}

/// Else another device of the user could acknowledge what was sent after the answer, and this one
/// would begin behind it.
async fn a_subscription_is_answered_when_its_place_is_fixed(database: Database) {
    let fixture = Fixture::new(database).await;
    for device in 1..=20 {
        let client = fixture.client("bobby", &format!("b{device}"));
        client.subscribe().await;
        assert_eq!(database::cursors(&fixture.database).await, device);
    }
}

/// Whoever asks second waits as well.
async fn overlapping_subscriptions_wait_for_the_same_place(database: Database) {
    let fixture = Fixture::new(database).await;
    let bobby = fixture.client("bobby", "b1");
    // The stream is there, the device's place is not.
    fixture.place("bobby").await;
    let held = hold_cursors(&fixture.database).await;
    let (mut first, mut second) = (pin!(bobby.subscribe()), pin!(bobby.subscribe()));
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    held.release().await;
    second.await;
    assert_eq!(database::cursors(&fixture.database).await, 1);
    first.await;
}

async fn a_batch_without_room_goes_again(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.finish(TrackedOutcome::Full);
    let again = bobby.next().await;
    assert_eq!((again.span(), again.texts().len()), ((0, 1), 1));
    again.ack();
    alice.send("bobby", "m2", "two").await.unwrap();
    assert_eq!(bobby.next().await.span(), (1, 2));
}

async fn what_can_not_be_read_blocks_nothing(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    for (n, to) in [(1, "bobby"), (2, "bobby"), (3, "carol"), (4, "bobby")] {
        alice.send(to, &format!("m{n}"), "text").await.unwrap();
    }
    alice.send("alice", "m5", "note").await.unwrap();
    database::execute(
        &fixture.database,
        "UPDATE im_message SET content = '{}' WHERE client_msg_id = 'm2'",
    )
    .await;
    database::execute(
        &fixture.database,
        "UPDATE im_message SET sender = '/' WHERE client_msg_id = 'm3'",
    )
    .await;
    let mut other = fixture.client("alice", "a2");
    other.subscribe().await;
    let batch = other.next().await;
    assert_eq!(batch.span(), (0, 5));
    let (text, note) = ("text".to_owned(), "note".to_owned());
    let expected = [
        (1, text.clone()),
        (2, "oversize".to_owned()),
        (4, text),
        (5, note),
    ];
    assert_eq!(
        batch.texts(),
        expected,
        "its place is told where it is known"
    );
}

async fn offline_messages_come_in_order(database: Database) {
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 0).await;
    let alice = fixture.client("alice", "a1");
    for n in 1..=90 {
        alice
            .send("bobby", &format!("m{n}"), &n.to_string())
            .await
            .unwrap();
    }
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let expected: Vec<String> = (1..=90).map(|n| n.to_string()).collect();
    assert_eq!(receive(&mut bobby, 90).await, expected);
    // On the next connection only what is new.
    bobby.unsubscribe().await;
    alice.send("bobby", "m91", "91").await.unwrap();
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let batch = bobby.next().await;
    assert_eq!(
        (batch.span(), batch.texts()),
        ((90, 91), vec![(91, "91".to_owned())])
    );
}

async fn one_batch_at_a_time(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    let mut witness = fixture.client("bobby", "b2");
    witness.subscribe().await;
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    let first = bobby.next().await;
    for id in ["m2", "m3", "m4"] {
        alice.send("bobby", id, id).await.unwrap();
    }
    bobby.subscribe().await;
    bobby.hears_nothing(&mut witness, 4).await;
    first.ack();
    let second = bobby.next().await;
    assert_eq!(second.span(), (1, 4));
    assert_eq!(second.texts().len(), 3, "what waited goes together");
}

async fn each_batch_begins_where_the_last_one_ended(database: Database) {
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 0).await;
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let senders: Vec<Client> = (0..4)
        .map(|n| fixture.client(&format!("user{n}"), &format!("u{n}")))
        .collect();
    let sends: Vec<_> = (0..100_usize)
        .map(|n| {
            let sender = &senders[n % 4];
            sender.start(
                names::MESSAGE_SEND,
                &text_to("bobby", &format!("m{n}"), "hello"),
            )
        })
        .collect();
    let all = futures_util::future::join_all(sends);
    let (replies, texts) = tokio::join!(all, receive(&mut bobby, 100));
    assert!(replies.iter().all(|reply| !reply.reason.is_error()));
    assert_eq!(texts.len(), 100);
}

async fn what_falls_out_of_memory_comes_from_the_store(database: Database) {
    let fixture = Fixture::with(database, |config| {
        config.sends_per_minute = 0;
        config.inbox_messages = 1000;
    })
    .await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m0", "0").await.unwrap();
    let held = bobby.next().await;
    // More than memory keeps of a stream.
    for n in 1..=300 {
        alice
            .send("bobby", &format!("m{n}"), &n.to_string())
            .await
            .unwrap();
    }
    held.ack();
    let expected: Vec<String> = (1..=300).map(|n| n.to_string()).collect();
    assert_eq!(receive(&mut bobby, 301).await, expected);
}

async fn a_closed_delivery_goes_on_from_the_cursor(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    alice.send("bobby", "m2", "two").await.unwrap();
    let lost = bobby.next().await;
    assert_eq!(lost.span(), (1, 2));
    bobby.unsubscribe().await;
    fixture.disconnect(&bobby);
    drop(lost);
    // The same device on a new connection: what it acknowledged a moment ago counts.
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let again = bobby.next().await;
    assert_eq!(
        (again.span(), again.texts()),
        ((1, 2), vec![(2, "two".to_owned())])
    );
}

async fn a_refused_batch_comes_again_when_asked_for(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    let mut witness = fixture.client("bobby", "b2");
    witness.subscribe().await;
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.refuse();
    alice.send("bobby", "m2", "two").await.unwrap();
    // What a refusal leaves behind is known once this has run through.
    while bobby
        .call::<Configured>(names::SESSION_CONFIGURE, json!({}))
        .await
        .unwrap()
        .deliver
    {}
    bobby.hears_nothing(&mut witness, 2).await;
    bobby.subscribe().await;
    let again = bobby.next().await;
    assert_eq!(again.span(), (0, 2));
    again.finish(TrackedOutcome::Acked);
}

async fn a_message_for_online_devices_is_not_kept_for_others(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut online) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    online.subscribe().await;
    alice.send("bobby", "m1", "stays").await.unwrap();
    online.next().await.ack();
    let mut passing = text_to("bobby", "m2", "passes");
    passing["no_offline"] = json!(true);
    let sent: partyline_protocol::Sent = alice.call(names::MESSAGE_SEND, passing).await.unwrap();
    assert_eq!(sent.seq.get(), 2, "it takes a number all the same");
    let live = online.next().await;
    assert_eq!(live.texts(), [(2, "passes".to_owned())]);
    alice.send("bobby", "m3", "stays too").await.unwrap();
    // A device that comes now, whether its items come from memory or from the store.
    let mut late = fixture.client("bobby", "b2");
    late.call::<Configured>(names::SESSION_CONFIGURE, json!({"roaming": true}))
        .await
        .unwrap();
    late.subscribe().await;
    let batch = late.next().await;
    let expected = vec![(1, "stays".to_owned()), (3, "stays too".to_owned())];
    assert_eq!((batch.span(), batch.texts()), ((0, 3), expected));
    // And the device that was online, but did not acknowledge it before its connection ended.
    online.unsubscribe().await;
    fixture.disconnect(&online);
    drop(live);
    let mut online = fixture.client("bobby", "b1");
    online.subscribe().await;
    let batch = online.next().await;
    assert_eq!(
        (batch.span(), batch.texts()),
        ((1, 3), vec![(3, "stays too".to_owned())])
    );
}

async fn an_expired_message_is_passed_over(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    let mut brief = text_to("bobby", "m1", "brief");
    brief["expire"] = json!(5);
    alice
        .call::<partyline_protocol::Sent>(names::MESSAGE_SEND, brief)
        .await
        .unwrap();
    let mut early = fixture.client("bobby", "b1");
    early.subscribe().await;
    let batch = early.next().await;
    let at = batch.message(0);
    assert_eq!(at.expire_at, Some(at.msg_ctime + 5000));
    drop(batch);
    alice.send("bobby", "m2", "lasting").await.unwrap();
    fixture.clock.advance_ms(5001);
    let mut late = fixture.client("bobby", "b2");
    late.subscribe().await;
    let batch = late.next().await;
    assert_eq!(
        (batch.span(), batch.texts()),
        ((0, 2), vec![(2, "lasting".to_owned())])
    );
}

async fn retention_leaves_gaps(database: Database) {
    let fixture = Fixture::with(database, |config| config.inbox_messages = 3).await;
    let (alice, carol) = (fixture.client("alice", "a1"), fixture.client("carol", "c1"));
    carol.send("bobby", "c", "from carol").await.unwrap();
    for n in 1..=10 {
        alice
            .send("bobby", &format!("m{n}"), &n.to_string())
            .await
            .unwrap();
    }
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let batch = bobby.next().await;
    assert_eq!(batch.span(), (0, 11));
    let texts: Vec<_> = batch.texts().into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        texts,
        ["from carol", "8", "9", "10"],
        "a busy conversation evicts no other"
    );
    let truncated = |index| batch.message(index).truncated_before.map(Seq::get);
    assert_eq!(
        [truncated(0), truncated(1), truncated(2)],
        [None, Some(8), None]
    );
    batch.ack();
    // All of it too old: an empty batch still moves the cursor.
    fixture.clock.advance_ms(16 * 24 * 3600 * 1000);
    let mut other = fixture.client("bobby", "b2");
    let wish = json!({"roaming": true, "deliver": true});
    other
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    let batch = other.next().await;
    assert_eq!((batch.span(), batch.texts()), ((0, 11), vec![]));
}

async fn configure_delivers_without_a_subscription(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    let configured: Configured = bobby
        .call(names::SESSION_CONFIGURE, json!({"max_batch": 2048}))
        .await
        .unwrap();
    assert!(!configured.deliver);
    let mut witness = fixture.client("bobby", "b2");
    witness.subscribe().await;
    let wish = json!({"deliver": true});
    let configured: Configured = bobby.call(names::SESSION_CONFIGURE, wish).await.unwrap();
    assert!(configured.deliver);
    assert_eq!(configured.max_batch.get(), 2048, "what was left out stays");
    // A subscription that comes and goes changes nothing about it.
    bobby.subscribe().await;
    bobby.unsubscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    let wish = json!({"deliver": false});
    let configured: Configured = bobby
        .call(names::SESSION_CONFIGURE, wish.clone())
        .await
        .unwrap();
    assert!(!configured.deliver);
    alice.send("bobby", "m2", "two").await.unwrap();
    bobby.hears_nothing(&mut witness, 2).await;
    // Nor does the wish end a subscription.
    bobby.subscribe().await;
    bobby.next().await.ack();
    let configured: Configured = bobby.call(names::SESSION_CONFIGURE, wish).await.unwrap();
    assert!(configured.deliver);
    alice.send("bobby", "m3", "three").await.unwrap();
    assert_eq!(bobby.next().await.span(), (2, 3));
}

async fn a_login_ends_the_delivery_of_the_one_before(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    let mut bobby = fixture.client("bobby", "shared");
    let wish = json!({"max_batch": 4096});
    bobby
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    bobby.subscribe().await;
    alice.send("bobby", "m1", "for bobby").await.unwrap();
    let in_flight = bobby.next().await;

    // Another user on the same connection: the broker drops what was in flight and tells both.
    let mut next = SessionInfo::clone(&fixture::session(
        bobby.session.id.get(),
        "carol",
        "shared",
        None,
    ));
    next.login = bobby.session.login + 1;
    let mut carol = fixture.client_of(Arc::new(next));
    in_flight.finish(TrackedOutcome::Gone);
    bobby.unsubscribe().await;
    carol.subscribe().await;
    alice.send("bobby", "m2", "for bobby").await.unwrap();
    alice.send("carol", "m3", "for carol").await.unwrap();
    assert_eq!(carol.next().await.texts(), [(1, "for carol".to_owned())]);
    let configured: Configured = carol
        .call(names::SESSION_CONFIGURE, json!({}))
        .await
        .unwrap();
    assert_eq!(
        configured.max_batch.get(),
        4096,
        "the connection keeps its settings"
    );
    // A late command of the login before.
    assert!(
        bobby
            .call::<Configured>(names::SESSION_CONFIGURE, json!({}))
            .await
            .is_err()
    );
    // Nothing was lost for the user who left.
    let mut bobby = fixture.client("bobby", "b2");
    bobby.subscribe().await;
    assert_eq!(bobby.next().await.span(), (0, 2));
}

async fn a_deleted_user_gets_nothing_more(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    let (epoch, head) = fixture.place("bobby").await;
    assert_eq!(head, 1);
    fixture
        .streams
        .forget_user(&crate::support::app(), &user("bobby").username)
        .await
        .unwrap();
    let mut witness = fixture.client("bobby", "b2");
    witness.subscribe().await;
    alice.send("bobby", "m2", "two").await.unwrap();
    bobby.hears_nothing(&mut witness, 1).await;
    let (new_epoch, head) = fixture.place("bobby").await;
    assert_ne!(
        epoch, new_epoch,
        "a user of the same name has another stream"
    );
    assert_eq!(head, 1);
    assert_eq!(fixture.place("alice").await.1, 2, "the others keep theirs");
}

async fn sessions_that_ended_without_a_word_are_forgotten(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    let wish = json!({"deliver": true, "max_batch": 2048});
    bobby
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    fixture.disconnect(&bobby);
    fixture.im.forget_gone_sessions();
    let configured: Configured = bobby
        .call(names::SESSION_CONFIGURE, json!({}))
        .await
        .unwrap();
    assert_eq!(configured, Configured::default());
    alice.send("bobby", "m1", "one").await.unwrap();
}
