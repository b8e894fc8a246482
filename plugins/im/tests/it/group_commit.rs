//! What a message costs the database, its delivery and its acknowledgements included.

use futures_util::future::join_all;
use partyline_plugin::database::Database;

use crate::support::fixture::Client;
use crate::support::{Fixture, on_both};

on_both!(a_message_costs_a_fifth_of_a_commit_at_most);

const SENDERS: usize = 64;
const MESSAGES: usize = 20;

async fn a_message_costs_a_fifth_of_a_commit_at_most(database: Database) {
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 0).await;
    let mut listeners = Vec::new();
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        let (name, device) = (format!("user{n}"), format!("d{n}"));
        let listener = fixture.client(&name, &device);
        listener.subscribe().await;
        listeners.push(listener);
        senders.push(fixture.client(&name, &device));
    }
    let before = fixture.database.commits();
    // Each waits for its answer before it sends the next one.
    let sending = join_all(senders.iter().enumerate().map(async |(n, client)| {
        let peer = format!("user{}", (n + 1) % SENDERS);
        for message in 0..MESSAGES {
            client
                .send(&peer, &format!("m{message}"), "hello")
                .await
                .unwrap();
        }
    }));
    // What each sent is in its own stream too.
    let head = 2 * MESSAGES as u64;
    let receiving = join_all(listeners.iter_mut().map(|listener| listener.take_to(head)));
    tokio::join!(sending, receiving);
    let (database, clock) = fixture.stop().await;
    let commits = database.commits() - before;
    let limit = (SENDERS * MESSAGES) as u64 / 5;
    println!("{commits} commits for {} messages", SENDERS * MESSAGES);
    assert!(commits <= limit, "{commits} commits, the most is {limit}");

    // And all cursors are on disk.
    let fixture = Fixture::at(database, clock, |_| {}).await;
    let mut clients: Vec<Client> = (0..SENDERS)
        .map(|n| fixture.client(&format!("user{n}"), &format!("d{n}")))
        .collect();
    for client in &mut clients {
        client.subscribe().await;
        client.send("nobody", "last", "hello").await.unwrap();
        let batch = client.next().await;
        assert_eq!(batch.span(), (head, head + 1));
    }
}
