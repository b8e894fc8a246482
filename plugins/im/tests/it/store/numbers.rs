//! Places are allotted without gaps, whoever sends at the same time.

use std::collections::HashMap;

use futures_util::future::join_all;
use partyline_plugin::database::Database;
use partyline_protocol::{ClientMessageId, MessageId, Seq};

use super::{ALL, Subject, fresh, message};
use crate::support::{on_both, user};

on_both!(
    numbers_are_contiguous_under_concurrent_senders,
    a_failed_batch_leaves_no_trace,
    what_is_stored_comes_back,
    known_sends_are_found,
    a_stream_is_made_once,
    the_highest_message_is_known,
);

const WRITERS: u64 = 8;
const BATCHES: u64 = 12;

async fn numbers_are_contiguous_under_concurrent_senders(database: Database) {
    let subject = Subject::new(&database);
    let users: Vec<_> = (0..6).map(|n| user(&format!("user{n}"))).collect();
    let placed = join_all((0..WRITERS).map(|writer| {
        let (subject, users) = (&subject, &users);
        async move {
            let mut placed = Vec::new();
            for batch in 0..BATCHES {
                // Pairs in every order, so that writers that locked as they came would deadlock.
                let messages: Vec<_> = (0..=batch)
                    .map(|n| {
                        let random = rand::random_range(0..users.len());
                        let other = rand::random_range(0..users.len());
                        let id = (writer << 32) | (batch << 16) | (n + 1);
                        message(id, &users[random], &users[other])
                    })
                    .collect();
                let places = subject.commit(&messages).await;
                placed.extend(messages.into_iter().zip(places));
            }
            placed
        }
    }))
    .await;

    let mut conversations = HashMap::<_, Vec<u64>>::new();
    let mut streams = HashMap::<_, Vec<u64>>::new();
    for (message, placed) in placed.into_iter().flatten() {
        conversations
            .entry(message.conversation)
            .or_default()
            .push(placed.seq.get());
        for (receiver, seq) in message.receivers.into_iter().zip(placed.items) {
            streams.entry(receiver).or_default().push(seq.get());
        }
    }
    for numbers in conversations.values_mut().chain(streams.values_mut()) {
        numbers.sort_unstable();
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(*numbers, expected);
    }
    for (user, numbers) in streams {
        let items = subject.items(&user, ALL).await;
        assert_eq!(super::seqs(&items), numbers, "all of it is there");
        let place = subject.store.place(&user).await.unwrap().unwrap();
        assert_eq!(place.head.get(), numbers.len() as u64);
        // In a stream, the messages of each conversation are in the conversation's order.
        let mut last = HashMap::new();
        for item in items {
            let before = last.insert(item.conversation.clone(), item.msg_seq);
            assert_eq!(item.msg_seq, before.unwrap_or(Seq::ZERO).next());
        }
    }
}

async fn a_failed_batch_leaves_no_trace(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let first = subject.message(&alice, &bobby);
    subject.commit(std::slice::from_ref(&first)).await;
    let mut again = subject.message(&alice, &bobby);
    again.client_msg_id = first.client_msg_id.clone();
    let batch = [subject.message(&bobby, &alice), again];
    let error = subject.try_commit(&batch, &[]).await.unwrap_err();
    assert!(error.as_database_error().unwrap().is_unique_violation());
    let placed = subject.commit(&[subject.message(&bobby, &alice)]).await;
    assert_eq!(placed[0].seq.get(), 2);
    assert_eq!(
        placed[0]
            .items
            .iter()
            .map(|seq| seq.get())
            .collect::<Vec<_>>(),
        [2, 2]
    );
}

async fn what_is_stored_comes_back(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let mut message = subject.message(&alice, &bobby);
    message.expire_at = Some(1_800_000_000_000);
    message.no_offline = true;
    message.content.at = Some(Vec::new());
    message.content.need_receipt = true;
    subject.commit(std::slice::from_ref(&message)).await;
    let items = subject.items(&bobby, ALL).await;
    let item = &items[0];
    let content = item.content.as_ref().unwrap();
    assert_eq!(*content, message.content);
    assert_eq!(content.msg_body.as_str(), message.content.msg_body.as_str());
    assert_eq!((item.id, item.sender.clone()), (message.id, alice));
    assert_eq!(item.client_msg_id, Some(message.client_msg_id));
    assert_eq!(
        (item.at_ms, item.expire_at),
        (message.at_ms, message.expire_at)
    );
    assert!(item.no_offline);
}

async fn known_sends_are_found(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let messages = [
        subject.message(&alice, &bobby),
        subject.message(&alice, &bobby),
    ];
    subject.commit(&messages).await;
    let id = messages[1].client_msg_id.clone();
    let asked = [
        (alice.clone(), id.clone()),
        (bobby, id),
        (alice.clone(), ClientMessageId::parse("unknown").unwrap()),
    ];
    let known = subject.store.known(&asked).await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].id, known[0].seq.get()), (messages[1].id, 2));
    assert_eq!(known[0].content_hash, "07".repeat(32));
    assert_eq!(known[0].conversation, messages[1].conversation);
    assert_eq!(subject.store.known(&[]).await.unwrap(), []);
}

async fn a_stream_is_made_once(database: Database) {
    let subject = Subject::new(&database);
    let alice = user("alice");
    assert_eq!(subject.store.place(&alice).await.unwrap(), None);
    let lives = join_all((0..8).map(|_| {
        let (subject, alice) = (&subject, &alice);
        async move {
            let life = fresh();
            subject
                .store
                .ensure_place(alice, &life)
                .await
                .unwrap()
                .epoch
        }
    }))
    .await;
    assert!(lives.iter().all(|life| *life == lives[0]));
    subject
        .commit(&[subject.message(&alice, &user("bobby"))])
        .await;
    let place = subject.store.place(&alice).await.unwrap().unwrap();
    assert_eq!(
        (place.epoch, place.head.get(), place.floor.get()),
        (lives[0].clone(), 1, 0)
    );
}

async fn the_highest_message_is_known(database: Database) {
    let subject = Subject::new(&database);
    assert_eq!(
        subject.store.highest_message().await.unwrap(),
        MessageId::parse(0).unwrap()
    );
    let (alice, bobby) = (user("alice"), user("bobby"));
    subject
        .commit(&[message(70, &alice, &bobby), message(30, &alice, &bobby)])
        .await;
    assert_eq!(
        subject.store.highest_message().await.unwrap(),
        MessageId::parse(70).unwrap()
    );
}
