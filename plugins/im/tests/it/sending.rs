//! `$im/message/send`.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::poll;
use partyline_im::ConversationKey;
use partyline_im::store::{Batch, NewMessage, StoredContent};
use partyline_plugin::Clock;
use partyline_plugin::database::Database;
use partyline_protocol::{
    Epoch, ErrorCode, MessageId, Reply, SendMessage, Sent, decode_request, names,
};
use serde_json::json;

use crate::support::database::refuse_poison;
use crate::support::fixture::text_to;
use crate::support::{Fixture, app, on_both, user};

on_both!(
    a_message_reaches_both_users,
    a_message_to_oneself_is_one_item,
    a_repetition_is_answered_as_before,
    a_repetition_after_a_restart_is_answered_as_before,
    repetitions_in_one_batch_are_one_message,
    a_repetition_is_answered_whatever_the_limits_are_by_now,
    what_was_stored_without_a_word_is_delivered,
    a_number_that_another_process_took_is_replaced,
    repetitions_burn_no_quota,
    what_is_not_stored_burns_no_quota,
    names_can_not_be_tried_out_without_end,
    a_deleted_user_sends_nothing_more,
    refusals_have_codes,
    a_failing_message_fails_alone,
    a_session_keeps_its_order,
    a_full_queue_refuses,
    what_was_taken_on_is_stored_when_the_plugin_stops,
);

async fn a_message_reaches_both_users(database: Database) {
    let fixture = Fixture::new(database).await;
    let (mut alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    alice.subscribe().await;
    bobby.subscribe().await;
    let sent = alice.send("bobby", "m1", "hello").await.unwrap();
    assert_eq!((sent.seq.get(), sent.duplicate), (1, false));
    assert_eq!(
        sent.conversation.to_string(),
        format!("single:{}:bobby", app())
    );

    let batch = bobby.next().await;
    assert_eq!(batch.topic, "$im/inbox");
    assert_eq!(batch.span(), (0, 1));
    let message = batch.message(0);
    assert_eq!(
        message.conversation.to_string(),
        format!("single:{}:alice", app())
    );
    assert_eq!(message.from.username.as_str(), "alice");
    assert_eq!(
        (message.msg_id, message.msg_ctime),
        (sent.msg_id, sent.msg_ctime)
    );
    assert_eq!(message.client_msg_id, None);

    let batch = alice.next().await;
    let message = batch.message(0);
    assert_eq!(message.conversation, sent.conversation);
    assert_eq!(message.client_msg_id.as_ref().unwrap().as_str(), "m1");
    assert_eq!(batch.batch.epoch.as_str(), fixture.place("alice").await.0);
}

async fn a_message_to_oneself_is_one_item(database: Database) {
    let fixture = Fixture::new(database).await;
    let mut alice = fixture.client("alice", "a1");
    alice.subscribe().await;
    alice.send("alice", "m1", "note").await.unwrap();
    let sent = alice.send("alice", "m2", "another").await.unwrap();
    assert_eq!(sent.seq.get(), 2);
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let batch = alice.next().await;
        texts.extend(batch.texts());
        batch.ack();
    }
    assert_eq!(texts, [(1, "note".to_owned()), (2, "another".to_owned())]);
}

async fn a_repetition_is_answered_as_before(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    let first = alice.send("bobby", "m1", "hello").await.unwrap();
    // The request's own id does not count; another device of the user is the same sender.
    let mut again = text_to("bobby", "m1", "hello");
    again["id"] = json!(99);
    let other_device = fixture.client("alice", "a2");
    let second: Sent = other_device.call(names::MESSAGE_SEND, again).await.unwrap();
    assert!(second.duplicate);
    assert_eq!(
        Sent {
            duplicate: false,
            ..second
        },
        first
    );
    let error = alice
        .send("bobby", "m1", "something else")
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::IdReused);
    // Another sender may use the same id.
    let carol = fixture.client("carol", "c1");
    assert!(!carol.send("bobby", "m1", "hello").await.unwrap().duplicate);
    assert_eq!(fixture.place("bobby").await.1, 2);
    // Even when the target is gone by now.
    fixture.accounts.delete("bobby");
    fixture
        .streams
        .forget_user(&app(), &user("bobby").username)
        .await
        .unwrap();
    assert!(alice.send("bobby", "m1", "hello").await.unwrap().duplicate);
    let error = alice.send("bobby", "m2", "hello").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TargetUserNotExist);
}

async fn a_repetition_after_a_restart_is_answered_as_before(database: Database) {
    let fixture = Fixture::new(database).await;
    let first = fixture
        .client("alice", "a1")
        .send("bobby", "m1", "hello")
        .await
        .unwrap();
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |_| {}).await;
    let alice = fixture.client("alice", "a1");
    let second = alice.send("bobby", "m1", "hello").await.unwrap();
    assert!(second.duplicate);
    assert_eq!(second.msg_id, first.msg_id);
    let next = alice.send("bobby", "m2", "hello").await.unwrap();
    assert_eq!(next.seq.get(), 2);
    assert!(next.msg_id > first.msg_id);
}

async fn repetitions_in_one_batch_are_one_message(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    fixture.accounts.stall();
    let held = alice.start(names::MESSAGE_SEND, &text_to("bobby", "m0", "first"));
    fixture.accounts.asked().await;
    let sends: Vec<_> = ["hello", "hello", "other"]
        .into_iter()
        .map(|text| alice.start(names::MESSAGE_SEND, &text_to("bobby", "m1", text)))
        .collect();
    fixture.accounts.resume();
    held.await;
    let mut answers = Vec::new();
    for send in sends {
        let reply = Reply::<Sent>::decode(&send.await.payload).unwrap();
        answers.push(
            reply
                .result
                .map(|sent| sent.duplicate)
                .map_err(|error| error.code),
        );
    }
    assert_eq!(answers, [Ok(false), Ok(true), Err(ErrorCode::IdReused)]);
    assert_eq!(fixture.place("bobby").await.1, 2);
}

async fn a_repetition_is_answered_whatever_the_limits_are_by_now(database: Database) {
    let fixture = Fixture::new(database).await;
    let first = fixture.client("alice", "a1");
    let first = first.send("bobby", "m1", "hello").await.unwrap();
    let (database, clock) = fixture.stop().await;
    let fixture = Fixture::at(database, clock, |config| config.message_body_bytes = 10).await;
    let alice = fixture.client("alice", "a1");
    let again = alice.send("bobby", "m1", "hello").await.unwrap();
    assert_eq!((again.msg_id, again.duplicate), (first.msg_id, true));
    let error = alice.send("bobby", "m2", "hello").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MessageTooLong);
}

/// The commit was carried out and its answer lost, or the process ended before it told anybody.
async fn what_was_stored_without_a_word_is_delivered(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    alice.send("bobby", "m1", "one").await.unwrap();
    bobby.take_to(1).await;
    let request = text_to("bobby", "m2", "two");
    let message: SendMessage = decode_request(request.to_string().as_bytes()).unwrap().body;
    let (sender, target) = (user("alice"), user("bobby"));
    let stored = NewMessage {
        id: MessageId::parse(1).unwrap(),
        conversation: ConversationKey::between(&sender, &target),
        receivers: vec![sender.clone(), target],
        sender,
        client_msg_id: message.client_msg_id.clone(),
        content_hash: message.content_hash(),
        at_ms: u64::try_from(fixture.clock.now_ms()).unwrap(),
        expire_at: None,
        no_offline: false,
        content: StoredContent::from(message),
    };
    let batch = Batch {
        messages: &[stored],
        cursors: &[],
        fresh: &Epoch::parse("another").unwrap(),
    };
    let store = partyline_im::store::open(&fixture.database);
    store.commit(&batch).await.unwrap();
    let again = alice.send("bobby", "m2", "two").await.unwrap();
    assert!(again.duplicate);
    let batch = bobby.next().await;
    assert_eq!(batch.texts(), [(2, "two".to_owned())]);
    assert_eq!(batch.span(), (1, 2));
}

async fn a_number_that_another_process_took_is_replaced(database: Database) {
    // Before the numbers begin, so that both processes count on from the same one.
    let clock = Clock::default();
    clock.advance_ms(1000 - clock.now_ms());
    let one = Fixture::at(database.clone(), clock.clone(), |_| {}).await;
    let other = Fixture::at(database, clock, |_| {}).await;
    let mut numbers = HashSet::new();
    for n in 0..20 {
        let (fixture, name) = if n % 2 == 0 {
            (&one, "alice")
        } else {
            (&other, "carol")
        };
        let client = fixture.client(name, name);
        let sent = client
            .send("bobby", &format!("m{n}"), "hello")
            .await
            .unwrap();
        assert!(numbers.insert(sent.msg_id));
    }
}

async fn what_is_not_stored_burns_no_quota(database: Database) {
    refuse_poison(&database).await;
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 2).await;
    let alice = fixture.client("alice", "a1");
    for _ in 0..5 {
        let error = alice.send("bobby", "m1", "poison").await.unwrap_err();
        assert_eq!(error.code, ErrorCode::SendSystemError);
    }
    for id in ["m2", "m3"] {
        alice.send("bobby", id, "hello").await.unwrap();
    }
    let error = alice.send("bobby", "m4", "hello").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::SendFrequencyLimit);
    assert!(
        error.message.ends_with("the most is 2 sends a minute"),
        "{error}"
    );
}

async fn names_can_not_be_tried_out_without_end(database: Database) {
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 2).await;
    let alice = fixture.client("alice", "a1");
    fixture.accounts.delete("ghost");
    let mut codes = Vec::new();
    for id in ["m1", "m2", "m3"] {
        codes.push(alice.send("ghost", id, "hello").await.unwrap_err().code);
    }
    let unknown = ErrorCode::TargetUserNotExist;
    assert_eq!(codes, [unknown, unknown, ErrorCode::SendFrequencyLimit]);
}

async fn a_deleted_user_sends_nothing_more(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, carol) = (fixture.client("alice", "a1"), fixture.client("carol", "c1"));
    alice.send("bobby", "m1", "hello").await.unwrap();
    fixture.clock.advance_ms(120_000);
    fixture.accounts.stall();
    let held = carol.start(names::MESSAGE_SEND, &text_to("bobby", "m1", "hello"));
    fixture.accounts.asked().await;
    let waiting = alice.start(names::MESSAGE_SEND, &text_to("bobby", "m2", "hello"));
    fixture.accounts.delete("alice");
    let username = user("alice").username;
    let app = app();
    let mut deleted = pin!(fixture.streams.forget_user(&app, &username));
    assert!(
        poll!(deleted.as_mut()).is_pending(),
        "what is being decided is waited for"
    );
    fixture.accounts.resume();
    assert!(!held.await.reason.is_error());
    let reply = Reply::<Sent>::decode(&waiting.await.payload).unwrap();
    assert_eq!(reply.result.unwrap_err().code, ErrorCode::UserNotExist);
    deleted.await.unwrap();
    let store = partyline_im::store::open(&fixture.database);
    assert_eq!(store.place(&user("alice")).await.unwrap(), None);
}

async fn repetitions_burn_no_quota(database: Database) {
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 3).await;
    let alice = fixture.client("alice", "a1");
    for id in ["m1", "m1", "m1", "m1", "m2", "m2", "m3"] {
        alice.send("bobby", id, "hello").await.unwrap();
    }
    let error = alice.send("bobby", "m4", "hello").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::SendFrequencyLimit);
    assert_eq!(error.code.code(), 803_010);
    assert!(alice.send("bobby", "m3", "hello").await.unwrap().duplicate);
    assert!(
        fixture
            .client("bobby", "b1")
            .send("alice", "m4", "hello")
            .await
            .is_ok()
    );
    fixture.clock.advance_ms(20_000);
    assert!(!alice.send("bobby", "m4", "hello").await.unwrap().duplicate);
}

async fn refusals_have_codes(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    fixture.accounts.delete("ghost");
    let message = text_to("bobby", "m1", "hello");
    for (field, value, code) in [
        ("target_id", json!("ghost"), ErrorCode::TargetUserNotExist),
        ("target_id", json!("x"), ErrorCode::InvalidRequest),
        (
            "target_appkey",
            json!("b".repeat(24)),
            ErrorCode::CrossAppRefused,
        ),
        (
            "msg_body",
            json!({"text": 7}),
            ErrorCode::InvalidMessageContent,
        ),
        (
            "msg_body",
            json!({"text": "x".repeat(4096)}),
            ErrorCode::MessageTooLong,
        ),
        ("msg_type", json!("poem"), ErrorCode::InvalidRequest),
        ("client_msg_id", json!(""), ErrorCode::InvalidRequest),
        ("expire", json!(0), ErrorCode::InvalidRequest),
    ] {
        let mut wrong = message.clone();
        wrong[field] = value.clone();
        let result = alice.call::<Sent>(names::MESSAGE_SEND, wrong).await;
        assert_eq!(result.unwrap_err().code, code, "{field}: {value}");
    }
    for (target_type, code) in [
        ("group", ErrorCode::TargetGroupNotExist),
        ("chatroom", ErrorCode::RoomNotExist),
    ] {
        let mut wrong = message.clone();
        wrong["target_type"] = json!(target_type);
        wrong["target_id"] = json!("7");
        let result = alice.call::<Sent>(names::MESSAGE_SEND, wrong).await;
        assert_eq!(result.unwrap_err().code, code);
    }
    assert_eq!(fixture.place("alice").await.1, 0, "nothing was stored");
    let mut own_app = message;
    own_app["target_appkey"] = json!(app().as_str());
    assert!(
        alice
            .call::<Sent>(names::MESSAGE_SEND, own_app)
            .await
            .is_ok()
    );
}

async fn a_failing_message_fails_alone(database: Database) {
    refuse_poison(&database).await;
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    // So that the others are one batch.
    fixture.accounts.stall();
    let held = alice.start(names::MESSAGE_SEND, &text_to("bobby", "m", "first"));
    fixture.accounts.asked().await;
    let texts = ["one", "two", "poison", "three", "four", "poison", "five"];
    let sends: Vec<_> = (0_u32..)
        .zip(texts)
        .map(|(n, text)| {
            alice.start(
                names::MESSAGE_SEND,
                &text_to("bobby", &format!("m{n}"), text),
            )
        })
        .collect();
    fixture.accounts.resume();
    held.await;
    let mut places = Vec::new();
    for send in sends {
        let reply = Reply::<Sent>::decode(&send.await.payload).unwrap();
        places.push(
            reply
                .result
                .map(|sent| sent.seq.get())
                .map_err(|error| error.code),
        );
    }
    let failed = Err(ErrorCode::SendSystemError);
    assert_eq!(places, [Ok(2), Ok(3), failed, Ok(4), Ok(5), failed, Ok(6)]);
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let batch = bobby.next().await;
    let texts: Vec<_> = batch.texts().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["first", "one", "two", "three", "four", "five"]);
    assert_eq!(batch.span(), (0, 6));
}

async fn a_session_keeps_its_order(database: Database) {
    let fixture = Fixture::with(database, |config| {
        config.sends_per_minute = 0;
        config.batch = 7;
    })
    .await;
    let alice = fixture.client("alice", "a1");
    let sends: Vec<_> = (1..=100)
        .map(|n: u64| {
            let (id, text) = (format!("m{n}"), n.to_string());
            (
                n,
                alice.start(names::MESSAGE_SEND, &text_to("bobby", &id, &text)),
            )
        })
        .collect();
    for (n, send) in sends {
        let reply = Reply::<Sent>::decode(&send.await.payload).unwrap();
        assert_eq!(reply.result.unwrap().seq.get(), n);
    }
}

async fn a_full_queue_refuses(database: Database) {
    let fixture = Fixture::with(database, |config| config.queue = 2).await;
    let alice = fixture.client("alice", "a1");
    fixture.accounts.stall();
    let send = |id: &str| alice.start(names::MESSAGE_SEND, &text_to("bobby", id, "hello"));
    let held = send("m0");
    fixture.accounts.asked().await;
    let (one, two, three) = (send("m1"), send("m2"), send("m3"));
    let refused = Reply::<Sent>::decode(&three.await.payload).unwrap();
    let error = refused.result.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooManyInFlight);
    assert!(
        error.message.ends_with("the most that wait are 2 sends"),
        "{error}"
    );
    fixture.accounts.resume();
    for send in [held, one, two] {
        assert!(!send.await.reason.is_error());
    }
}

async fn what_was_taken_on_is_stored_when_the_plugin_stops(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    let sends: Vec<_> = (0..20)
        .map(|n| {
            let id = format!("m{n}");
            alice.start(names::MESSAGE_SEND, &text_to("bobby", &id, "hello"))
        })
        .collect();
    let (database, clock) = fixture.stop().await;
    for send in sends {
        assert!(!send.await.reason.is_error());
    }
    let late = alice
        .start(names::MESSAGE_SEND, &text_to("bobby", "late", "hello"))
        .await;
    assert!(late.reason.is_error());
    let fixture = Fixture::at(database, clock, |_| {}).await;
    assert_eq!(fixture.place("bobby").await.1, 20);
}
