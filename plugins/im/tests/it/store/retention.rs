//! What is kept, and what is swept.

use partyline_im::store::{Kept, Range, StreamId};
use partyline_plugin::database::Database;
use partyline_protocol::MessageId;

use super::{ALL, Subject, message, seq, seqs};
use crate::support::{on_both, user};

on_both!(
    only_the_newest_of_a_conversation_are_read,
    what_is_too_old_is_not_read,
    a_range_is_read_in_pieces,
    a_sweep_raises_the_floor,
    old_messages_go,
);

async fn only_the_newest_of_a_conversation_are_read(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby, carol) = (user("alice"), user("bobby"), user("carol"));
    let messages: Vec<_> = [&alice, &carol, &alice, &alice, &alice]
        .into_iter()
        .map(|sender| subject.message(sender, &bobby))
        .collect();
    subject.commit(&messages).await;
    let kept = Kept {
        per_conversation: 2,
        since_ms: 0,
    };
    assert_eq!(seqs(&subject.items(&bobby, kept).await), [2, 4, 5]);
    assert_eq!(seqs(&subject.items(&alice, kept).await), [3, 4]);
}

async fn what_is_too_old_is_not_read(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let messages: Vec<_> = (1..=5)
        .map(|id| message(id * 1000, &alice, &bobby))
        .collect();
    subject.commit(&messages).await;
    let kept = Kept {
        per_conversation: 100,
        since_ms: 3000,
    };
    assert_eq!(seqs(&subject.items(&bobby, kept).await), [3, 4, 5]);
}

async fn a_range_is_read_in_pieces(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let messages: Vec<_> = (0..10).map(|_| subject.message(&alice, &bobby)).collect();
    subject.commit(&messages).await;
    let stream = subject.stream(&bobby).await;
    let range = Range {
        after: seq(2),
        upto: seq(9),
    };
    let items = subject.store.items(stream, range, ALL, 3).await.unwrap();
    assert_eq!(seqs(&items), [3, 4, 5]);
    let range = Range {
        after: seq(8),
        upto: seq(9),
    };
    let items = subject.store.items(stream, range, ALL, 3).await.unwrap();
    assert_eq!(seqs(&items), [9]);
}

async fn a_sweep_raises_the_floor(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby, carol) = (user("alice"), user("bobby"), user("carol"));
    for id in 1..=4 {
        subject.commit(&[message(id * 1000, &alice, &bobby)]).await;
    }
    subject.commit(&[message(500, &carol, &carol)]).await;
    let commits = database.commits();
    let first = subject
        .store
        .sweep_items(StreamId::default(), 3000, 1)
        .await
        .unwrap();
    assert_eq!(first.items, 2);
    let rest = subject
        .store
        .sweep_items(first.last.unwrap(), 3000, 100)
        .await
        .unwrap();
    assert_eq!(rest.items, 3);
    let end = subject
        .store
        .sweep_items(rest.last.unwrap(), 3000, 100)
        .await
        .unwrap();
    assert_eq!((end.last, end.items), (None, 0));
    assert_eq!(
        database.commits() - commits,
        3,
        "one small transaction per stream"
    );
    let floor = async |name: &str| {
        let place = subject.store.place(&user(name)).await.unwrap().unwrap();
        (place.floor.get(), place.head.get())
    };
    assert_eq!(floor("bobby").await, (2, 4));
    assert_eq!(floor("carol").await, (1, 1), "all of it");
    assert_eq!(seqs(&subject.items(&bobby, ALL).await), [3, 4]);
    let commits = database.commits();
    subject
        .store
        .sweep_items(StreamId::default(), 3000, 100)
        .await
        .unwrap();
    assert_eq!(
        database.commits(),
        commits,
        "nothing to remove, nothing to write"
    );
    subject.commit(&[message(5000, &carol, &carol)]).await;
    assert_eq!(seqs(&subject.items(&carol, ALL).await), [2]);
}

async fn old_messages_go(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let messages: Vec<_> = (1..=5).map(|id| message(id * 10, &alice, &bobby)).collect();
    subject.commit(&messages).await;
    let below = MessageId::parse(40).unwrap();
    assert_eq!(subject.store.sweep_messages(below, 2).await.unwrap(), 2);
    assert_eq!(subject.store.sweep_messages(below, 2).await.unwrap(), 1);
    let commits = database.commits();
    assert_eq!(subject.store.sweep_messages(below, 2).await.unwrap(), 0);
    assert_eq!(database.commits(), commits);
    assert_eq!(seqs(&subject.items(&bobby, ALL).await), [4, 5]);
    let known = [(alice.clone(), messages[0].client_msg_id.clone())];
    assert_eq!(subject.store.known(&known).await.unwrap(), []);
    let placed = subject.commit(&[subject.message(&alice, &bobby)]).await;
    assert_eq!(placed[0].seq.get(), 6, "numbers are never used again");
}
