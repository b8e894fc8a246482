//! Cursors: what moves them, and what doesn't.

use std::pin::pin;

use futures_util::poll;
use partyline_plugin::TrackedOutcome;
use partyline_plugin::database::Database;
use partyline_protocol::{Acked, Configured, ErrorCode, RequestError, names};
use serde_json::{Value, json};

use crate::support::database::{hold_cursors, refuse_poison};
use crate::support::fixture::{Client, text_to};
use crate::support::{Fixture, app, on_both, user};

on_both!(
    only_an_explicit_acknowledgement_moves_an_explicit_cursor,
    explicit_acknowledgements_stay_within_what_was_sent,
    an_acknowledgement_that_is_repeated_waits_for_the_disk,
    an_acknowledgement_survives_a_message_at_fault,
    late_acknowledgements_do_not_count_for_the_next_connection,
    devices_have_cursors_of_their_own,
    a_new_device_starts_where_others_acknowledged,
    a_new_device_can_have_the_kept_history,
    the_wish_for_history_may_come_after_the_subscription,
    the_wish_for_history_outlives_a_first_contact_that_was_cut_short,
    cursors_are_on_disk_after_a_stop,
    a_forgotten_device_still_counts,
);

async fn explicit(client: &Client) {
    let wish = json!({"ack": "explicit"});
    client
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
}

async fn ack(client: &Client, epoch: &str, seq: u64) -> Result<u64, RequestError> {
    let request = json!({"epoch": epoch, "seq": seq});
    client
        .call::<Acked>(names::INBOX_ACK, request)
        .await
        .map(|acked| acked.seq.get())
}

/// Where the next connection of a device starts.
async fn start_of(fixture: &Fixture, name: &str, device: &str) -> u64 {
    let mut client = fixture.client(name, device);
    client.subscribe().await;
    let start = client.next().await.span().0;
    client.unsubscribe().await;
    fixture.disconnect(&client);
    start
}

async fn only_an_explicit_acknowledgement_moves_an_explicit_cursor(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    explicit(&bobby).await;
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    let batch = bobby.next().await;
    let epoch = batch.batch.epoch.as_str().to_owned();
    batch.ack();
    alice.send("bobby", "m2", "two").await.unwrap();
    let batch = bobby.next().await;
    assert_eq!(batch.span(), (1, 2), "a PUBACK lets the next batch go");
    batch.ack();
    assert_eq!(
        start_of(&fixture, "bobby", "b1").await,
        0,
        "and moves no cursor"
    );
    assert_eq!(ack(&bobby, &epoch, 1).await, Ok(1));
    assert_eq!(start_of(&fixture, "bobby", "b1").await, 1);
}

async fn explicit_acknowledgements_stay_within_what_was_sent(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    explicit(&bobby).await;
    let (epoch, _) = fixture.place("bobby").await;
    let code = |result: Result<u64, RequestError>| result.unwrap_err().code;
    assert_eq!(code(ack(&bobby, &epoch, 1).await), ErrorCode::AckBeyondSent);
    bobby.subscribe().await;
    for id in ["m1", "m2"] {
        alice.send("bobby", id, id).await.unwrap();
    }
    let batch = bobby.next().await;
    let sent = batch.span().1;
    alice.send("bobby", "m3", "not sent yet").await.unwrap();
    assert_eq!(code(ack(&bobby, &epoch, 3).await), ErrorCode::AckBeyondSent);
    assert_eq!(code(ack(&bobby, "another", 1).await), ErrorCode::WrongEpoch);
    assert_eq!(
        ack(&bobby, &epoch, sent).await,
        Ok(sent),
        "before the PUBACK is fine"
    );
    assert_eq!(
        ack(&bobby, &epoch, 0).await,
        Ok(sent),
        "an older one changes nothing"
    );
}

/// Bobby, who acknowledges by hand, with a first message; and the request that acknowledges it.
async fn with_one(fixture: &Fixture) -> (Client, Value) {
    let mut bobby = fixture.client("bobby", "b1");
    explicit(&bobby).await;
    bobby.subscribe().await;
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m1", "one").await.unwrap();
    let batch = bobby.next().await;
    let epoch = batch.batch.epoch.as_str().to_owned();
    batch.ack();
    (bobby, json!({"epoch": epoch, "seq": 1}))
}

async fn an_acknowledgement_that_is_repeated_waits_for_the_disk(database: Database) {
    let fixture = Fixture::new(database).await;
    let (bobby, request) = with_one(&fixture).await;
    let held = hold_cursors(&fixture.database).await;
    let first = bobby.start(names::INBOX_ACK, &request);
    let mut second = pin!(bobby.start(names::INBOX_ACK, &request));
    assert!(poll!(second.as_mut()).is_pending(), "nothing is on disk");
    held.release().await;
    for reply in [first.await, second.await] {
        assert!(!reply.reason.is_error());
    }
    let third = bobby.start(names::INBOX_ACK, &request).await;
    assert!(!third.reason.is_error());
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m2", "two").await.unwrap();
    assert_eq!(start_of(&fixture, "bobby", "b1").await, 1);
}

async fn an_acknowledgement_survives_a_message_at_fault(database: Database) {
    refuse_poison(&database).await;
    let fixture = Fixture::new(database).await;
    let (bobby, request) = with_one(&fixture).await;
    let alice = fixture.client("alice", "a1");
    // So that the cursor goes with the message that the database refuses.
    fixture.clock.advance_ms(120_000);
    fixture.accounts.stall();
    let poison = alice.start(names::MESSAGE_SEND, &text_to("bobby", "m2", "poison"));
    fixture.accounts.asked().await;
    let ack = bobby.start(names::INBOX_ACK, &request);
    fixture.accounts.resume();
    assert!(poison.await.reason.is_error());
    assert!(!ack.await.reason.is_error());
}

async fn late_acknowledgements_do_not_count_for_the_next_connection(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut old) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    let mut witness = fixture.client("bobby", "b2");
    witness.subscribe().await;
    old.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    let late = old.next().await;
    // A takeover: the device is back before its old connection was noticed to be dead.
    let mut new = fixture.client("bobby", "b1");
    new.subscribe().await;
    let again = new.next().await;
    assert_eq!(again.span(), (0, 1));
    old.unsubscribe().await;
    fixture.disconnect(&old);
    late.finish(TrackedOutcome::Gone);
    alice.send("bobby", "m2", "two").await.unwrap();
    // One at a time, whatever became of the other.
    new.hears_nothing(&mut witness, 2).await;
    again.ack();
    assert_eq!(new.next().await.span(), (1, 2));
}

async fn devices_have_cursors_of_their_own(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    let (mut one, mut two) = (fixture.client("bobby", "b1"), fixture.client("bobby", "b2"));
    one.subscribe().await;
    two.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    one.next().await.ack();
    let unacknowledged = two.next().await;
    alice.send("bobby", "m2", "two").await.unwrap();
    assert_eq!(
        one.next().await.span(),
        (1, 2),
        "a slow device does not hold up another"
    );
    two.unsubscribe().await;
    fixture.disconnect(&two);
    drop(unacknowledged);
    assert_eq!(start_of(&fixture, "bobby", "b2").await, 0);
}

async fn a_new_device_starts_where_others_acknowledged(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    alice.send("bobby", "m2", "two").await.unwrap();
    let second = bobby.next().await;
    // Acknowledged a moment ago, and perhaps not on disk yet; the second one not at all.
    let start = start_of(&fixture, "bobby", "b2").await;
    assert!(start <= 1, "{start}");
    second.ack();
    alice.send("bobby", "m3", "three").await.unwrap();
    bobby.next().await.ack();
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    fixture
        .client("alice", "a1")
        .send("bobby", "m4", "four")
        .await
        .unwrap();
    assert_eq!(start_of(&fixture, "bobby", "b3").await, 3);
    // The place it started at is its own from then on, though it acknowledged nothing.
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    bobby.next().await.ack();
    assert_eq!(start_of(&fixture, "bobby", "b3").await, 3);
}

async fn a_new_device_can_have_the_kept_history(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    let mut roaming = fixture.client("bobby", "b2");
    let wish = json!({"roaming": true});
    roaming
        .call::<Configured>(names::SESSION_CONFIGURE, wish.clone())
        .await
        .unwrap();
    roaming.subscribe().await;
    let batch = roaming.next().await;
    assert_eq!(batch.texts(), [(1, "one".to_owned())]);
    batch.ack();
    // A device that is known goes on where it was.
    fixture
        .client("alice", "a1")
        .send("bobby", "m2", "two")
        .await
        .unwrap();
    let mut known = fixture.client("bobby", "b1");
    known
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    known.subscribe().await;
    assert_eq!(known.next().await.texts(), [(2, "two".to_owned())]);
}

async fn the_wish_for_history_may_come_after_the_subscription(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    let mut roaming = fixture.client("bobby", "b2");
    roaming.subscribe().await;
    let wish = json!({"roaming": true});
    roaming
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    assert_eq!(roaming.next().await.span(), (0, 1));
}

async fn the_wish_for_history_outlives_a_first_contact_that_was_cut_short(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    for (id, place) in [("m1", 1), ("m2", 2)] {
        alice.send("bobby", id, id).await.unwrap();
        bobby.take_to(place).await;
    }
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    let cut_short = fixture.client("bobby", "b2");
    cut_short.subscribe().await;
    cut_short.unsubscribe().await;
    fixture.disconnect(&cut_short);
    let mut roaming = fixture.client("bobby", "b2");
    let wish = json!({"roaming": true});
    roaming
        .call::<Configured>(names::SESSION_CONFIGURE, wish.clone())
        .await
        .unwrap();
    roaming.subscribe().await;
    let batch = roaming.next().await;
    assert_eq!(batch.span(), (0, 2));
    // Once something was acknowledged, the device is where it is.
    batch.ack();
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    let mut roaming = fixture.client("bobby", "b2");
    roaming
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    roaming.subscribe().await;
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m3", "m3").await.unwrap();
    assert_eq!(roaming.next().await.span(), (2, 3));
}

async fn cursors_are_on_disk_after_a_stop(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    alice.send("bobby", "m2", "two").await.unwrap();
    let rest = bobby.next().await;
    let place = rest.span().0;
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    assert_eq!(start_of(&fixture, "bobby", "b1").await, place);
}

async fn a_forgotten_device_still_counts(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.next().await.ack();
    alice.send("bobby", "m2", "two").await.unwrap();
    let _rest = bobby.next().await;
    let device = bobby.session.principal.registration.clone().unwrap();
    let username = user("bobby").username;
    fixture
        .streams
        .forget_device(&app(), &username, &device)
        .await
        .unwrap();
    bobby.unsubscribe().await;
    fixture.disconnect(&bobby);
    assert_eq!(start_of(&fixture, "bobby", "b2").await, 1);
}
