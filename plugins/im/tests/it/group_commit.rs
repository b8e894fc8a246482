//! What a message costs the database.

use futures_util::future::join_all;
use partyline_plugin::database::Database;

use crate::support::{Fixture, on_both};

on_both!(a_message_costs_a_fifth_of_a_commit_at_most);

const SENDERS: usize = 64;
const MESSAGES: usize = 20;

async fn a_message_costs_a_fifth_of_a_commit_at_most(database: Database) {
    let fixture = Fixture::with(database, |config| config.sends_per_minute = 0).await;
    let clients: Vec<_> = (0..SENDERS)
        .map(|n| fixture.client(&format!("user{n}"), &format!("d{n}")))
        .collect();
    let before = fixture.database.commits();
    // Each waits for its answer before it sends the next one.
    join_all(clients.iter().enumerate().map(|(n, client)| async move {
        let peer = format!("user{}", (n + 1) % SENDERS);
        for message in 0..MESSAGES {
            client
                .send(&peer, &format!("m{message}"), "hello")
                .await
                .unwrap();
        }
    }))
    .await;
    let commits = fixture.database.commits() - before;
    let limit = (SENDERS * MESSAGES) as u64 / 5;
    println!("{commits} commits for {} messages", SENDERS * MESSAGES);
    assert!(commits <= limit, "{commits} commits, the most is {limit}");
}
