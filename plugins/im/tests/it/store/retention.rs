//! What is kept, and what is swept.

use partyline_im::store::{Kept, NewMessage, Range, StreamId};
use partyline_plugin::database::Database;
use partyline_protocol::{Member, MessageId, Seq};

use super::{ALL, Subject, message, seq, seqs};
use crate::support::{on_both, user};

on_both!(
    only_the_newest_of_a_conversation_are_read,
    what_is_too_old_is_not_read,
    a_range_is_read_in_pieces,
    items_and_heads_say_where_a_conversation_is_truncated,
    messages_for_online_devices_hide_no_others,
    a_sweep_raises_the_floor,
    a_sweep_removes_so_many_at_once,
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

async fn items_and_heads_say_where_a_conversation_is_truncated(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby, carol) = (user("alice"), user("bobby"), user("carol"));
    for id in 1..=5 {
        let messages = [
            message(id * 1000, &alice, &bobby),
            message(id * 1000 + 1, &bobby, &bobby),
        ];
        subject
            .commit(&messages[..if id < 3 { 2 } else { 1 }])
            .await;
    }
    // A member who came later than the conversation's first messages misses nothing.
    subject.store.forget_user(&alice).await.unwrap();
    subject.commit(&[message(6000, &alice, &bobby)]).await;
    subject.commit(&[message(6001, &carol, &bobby)]).await;
    let told = async |user: &Member, kept: Kept| {
        let items = subject.items(user, kept).await;
        let items = items.iter().filter(|item| item.truncated);
        let items: Vec<_> = items.map(|item| item.msg_seq.get()).collect();
        let heads = subject.store.heads(user, None, kept, 10).await.unwrap();
        let heads = heads.heads.iter();
        let heads: Vec<_> = heads
            .map(|head| head.truncated_before.map_or(0, Seq::get))
            .collect();
        (items, heads)
    };
    let newest = |per_conversation| Kept {
        per_conversation,
        since_ms: 0,
    };
    let since = |since_ms| Kept {
        since_ms,
        per_conversation: 100,
    };
    assert_eq!(told(&bobby, ALL).await, (vec![], vec![0, 0, 0]));
    assert_eq!(told(&bobby, newest(2)).await, (vec![5], vec![5, 0, 0]));
    assert_eq!(told(&alice, newest(2)).await, (vec![], vec![0]));
    let old = (vec![4], vec![4, 3, 0]);
    assert_eq!(told(&bobby, since(4000)).await, old);
    let below = MessageId::parse(4000).unwrap();
    subject.store.sweep_messages(below, 100).await.unwrap();
    assert_eq!(
        told(&bobby, since(4000)).await,
        old,
        "and when all of it is gone"
    );
}

async fn messages_for_online_devices_hide_no_others(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let passing = |id| NewMessage {
        no_offline: true,
        ..message(id, &alice, &bobby)
    };
    subject
        .commit(&[passing(1), message(2, &alice, &bobby), passing(3)])
        .await;
    subject
        .commit(&[message(4, &alice, &bobby), passing(5), passing(6)])
        .await;
    let kept = Kept {
        per_conversation: 2,
        since_ms: 0,
    };
    let items = subject.items(&bobby, kept).await;
    let offline = items.iter().filter(|item| !item.no_offline);
    let offline: Vec<_> = offline.map(|item| item.seq.get()).collect();
    assert_eq!(offline, [2, 4]);
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
    let page = subject.store.items(stream, range, ALL, 3).await.unwrap();
    assert_eq!((seqs(&page.items), page.upto), (vec![3, 4, 5], seq(5)));
    let range = Range {
        after: seq(8),
        upto: seq(9),
    };
    let page = subject.store.items(stream, range, ALL, 3).await.unwrap();
    assert_eq!((seqs(&page.items), page.upto), (vec![9], seq(9)));
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
        2,
        "one transaction for a page of streams"
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

async fn a_sweep_removes_so_many_at_once(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    let messages: Vec<_> = (1..=1500).map(|id| message(id, &alice, &bobby)).collect();
    subject.commit(&messages).await;
    let mut after = StreamId::default();
    let mut removed = Vec::new();
    loop {
        let swept = subject.store.sweep_items(after, 1401, 100).await.unwrap();
        let Some(last) = swept.last else { break };
        after = last;
        removed.push(swept.items);
    }
    assert_eq!(removed, [1000, 1000, 800]);
    for user in [&alice, &bobby] {
        let place = subject.store.place(user).await.unwrap().unwrap();
        assert_eq!(place.floor.get(), 1400);
        assert_eq!(subject.items(user, ALL).await.len(), 100);
    }
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
