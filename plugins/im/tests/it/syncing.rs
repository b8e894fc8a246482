//! `$im/inbox/sync`.

use std::pin::pin;

use futures_util::poll;
use partyline_plugin::database::Database;
use partyline_protocol::{Acked, Configured, Reset, SyncPage, SyncReply, names};
use serde_json::{Value, json};

use crate::support::broker::text;
use crate::support::database::hold_cursors;
use crate::support::fixture::Client;
use crate::support::{Fixture, app, on_both};

on_both!(
    pages_go_back_below_the_cursor,
    a_page_opens_delivery_and_counts_as_sent,
    the_first_page_can_be_acknowledged_at_once,
    a_page_waits_for_the_subscription_before_it,
    pages_keep_to_the_batch_size,
    a_place_that_says_nothing_gives_the_heads,
    heads_come_in_pages,
);

async fn sync(client: &Client, request: Value) -> SyncReply {
    client.call(names::INBOX_SYNC, request).await.unwrap()
}

async fn page(client: &Client, request: Value) -> SyncPage {
    match sync(client, request).await {
        SyncReply::Page(page) => page,
        other => panic!("{other:?} is no page"),
    }
}

async fn reset(client: &Client, request: Value) -> Reset {
    match sync(client, request).await {
        SyncReply::Reset(reset) => reset,
        other => panic!("{other:?} is no reset"),
    }
}

async fn pages_go_back_below_the_cursor(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    bobby.subscribe().await;
    for n in 1..=5 {
        alice
            .send("bobby", &format!("m{n}"), &n.to_string())
            .await
            .unwrap();
    }
    let epoch = fixture.place("bobby").await.0;
    let mut place = 0;
    while place < 5 {
        let batch = bobby.next().await;
        assert_eq!(batch.batch.epoch.as_str(), epoch);
        place = batch.span().1;
        batch.ack();
    }
    let mut from = 0;
    for expected in [vec!["1", "2"], vec!["3", "4"], vec!["5"]] {
        let page = page(&bobby, json!({"epoch": epoch, "from": from, "limit": 2})).await;
        let texts: Vec<_> = page.items.iter().map(|item| text(&item.body)).collect();
        assert_eq!(texts, expected);
        assert_eq!((page.prev.get(), page.head.get()), (from, 5));
        from = page.seq.get();
    }
    let end = page(&bobby, json!({"epoch": epoch, "from": 5})).await;
    assert_eq!((end.seq.get(), end.items.len()), (5, 0));
}

async fn a_page_opens_delivery_and_counts_as_sent(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, mut bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    let wish = json!({"ack": "explicit"});
    bobby
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    alice.send("bobby", "m1", "one").await.unwrap();
    let page = page(&bobby, json!({"from": 0})).await;
    assert_eq!(page.items.len(), 1);
    let batch = bobby.next().await;
    assert_eq!(batch.span(), (0, 1));
    let ack = json!({"epoch": page.epoch, "seq": 1});
    assert_eq!(
        bobby
            .call::<Acked>(names::INBOX_ACK, ack)
            .await
            .unwrap()
            .seq
            .get(),
        1
    );
}

async fn the_first_page_can_be_acknowledged_at_once(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m1", "one").await.unwrap();
    for n in 0..10 {
        let bobby = fixture.client("bobby", &format!("b{n}"));
        let wish = json!({"ack": "explicit", "roaming": true});
        bobby
            .call::<Configured>(names::SESSION_CONFIGURE, wish)
            .await
            .unwrap();
        let page = page(&bobby, json!({"from": 0})).await;
        let ack = json!({"epoch": page.epoch, "seq": page.seq});
        let acked: Acked = bobby.call(names::INBOX_ACK, ack).await.unwrap();
        assert_eq!(acked.seq.get(), 1);
    }
}

/// The subscription looks where the device is; a page that overtook it would not count as sent.
async fn a_page_waits_for_the_subscription_before_it(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m1", "one").await.unwrap();
    let bobby = fixture.client("bobby", "b1");
    let wish = json!({"ack": "explicit"});
    bobby
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    let held = hold_cursors(&fixture.database).await;
    let mut subscribing = pin!(bobby.subscribe());
    assert!(poll!(subscribing.as_mut()).is_pending());
    let mut paging = pin!(page(&bobby, json!({"from": 0})));
    assert!(poll!(paging.as_mut()).is_pending());
    held.release().await;
    let page = paging.await;
    let ack = json!({"epoch": page.epoch, "seq": page.seq});
    let acked: Acked = bobby.call(names::INBOX_ACK, ack).await.unwrap();
    assert_eq!(acked.seq.get(), 1);
    subscribing.await;
}

async fn pages_keep_to_the_batch_size(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    for n in 0..10 {
        alice
            .send("bobby", &format!("m{n}"), &"x".repeat(2000))
            .await
            .unwrap();
    }
    let bobby = fixture.client_with("bobby", "b1", Some(5000));
    let page = page(&bobby, json!({"from": 0})).await;
    assert_eq!(
        (page.seq.get(), page.items.len(), page.head.get()),
        (1, 1, 10)
    );
}

async fn a_place_that_says_nothing_gives_the_heads(database: Database) {
    let fixture = Fixture::new(database).await;
    let (alice, bobby) = (fixture.client("alice", "a1"), fixture.client("bobby", "b1"));
    for id in ["m1", "m2"] {
        alice.send("bobby", id, id).await.unwrap();
    }
    let (epoch, _) = fixture.place("bobby").await;
    let expected = vec![(format!("single:{}:alice", app()), 2)];
    for request in [
        json!({"epoch": "another", "from": 1}),
        json!({"from": 1}),
        json!({"epoch": epoch, "from": 3}),
    ] {
        let reset = reset(&bobby, request).await;
        assert_eq!(
            (reset.epoch.as_str(), reset.head.get(), reset.more),
            (&*epoch, 2, false)
        );
        let heads = reset.conversations.iter();
        let heads: Vec<_> = heads
            .map(|head| (head.conversation.to_string(), head.last_seq.get()))
            .collect();
        assert_eq!(heads, expected);
    }
    // Below the floor: what was there is gone.
    fixture.clock.advance_ms(16 * 24 * 3600 * 1000);
    alice.send("bobby", "m3", "three").await.unwrap();
    fixture.im.sweep().await.unwrap();
    assert_eq!(
        reset(&bobby, json!({"epoch": epoch, "from": 1}))
            .await
            .head
            .get(),
        3
    );
    let page = page(&bobby, json!({"epoch": epoch, "from": 2})).await;
    assert_eq!((page.items.len(), page.seq.get()), (1, 3));
}

async fn heads_come_in_pages(database: Database) {
    let fixture = Fixture::new(database).await;
    let bobby = fixture.client("bobby", "b1");
    for n in 0..5 {
        let name = format!("user{n}");
        fixture
            .client(&name, &name)
            .send("bobby", "m1", "hello")
            .await
            .unwrap();
    }
    let mut names = Vec::new();
    let mut request = json!({"epoch": "another", "from": 0, "limit": 2});
    loop {
        let reset = reset(&bobby, request.clone()).await;
        assert!(reset.conversations.len() <= 2);
        names.extend(
            reset
                .conversations
                .iter()
                .map(|head| head.conversation.to_string()),
        );
        if !reset.more {
            break;
        }
        request["heads_after"] = json!(names.last().unwrap());
    }
    let expected: Vec<_> = (0..5)
        .map(|n| format!("single:{}:user{n}", app()))
        .collect();
    assert_eq!(names, expected);
}
