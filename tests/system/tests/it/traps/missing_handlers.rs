//! Libraries acknowledge and drop what has no handler: nothing is sent before a subscription.

use partyline_testkit::ConnectOptions;
use serde_json::json;

use crate::chat::stage::{
    OPEN_TOPICS, VERSIONS, batch, hears_nothing, items_to, listen, say, server, server_with, user,
};

crate::chat::stage::on_both! {
    a_connection_that_never_subscribes_takes_nothing,
    a_publisher_with_a_users_name_takes_nothing,
    a_subscriber_of_other_topics_takes_nothing,
    delivery_ends_with_the_subscription,
    configure_starts_delivery_without_a_subscription,
}

async fn a_connection_that_never_subscribes_takes_nothing() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let options = server.user(version, "bobby", &format!("phone-{number}"));
        let mut bobby = server.connect(&options).await?;
        say(&mut alice, "bobby", &format!("hello {number}")).await?;
        hears_nothing(&mut bobby).await?;
        // Only now does it get what it had not taken, and an ended connection takes nothing.
        bobby.disconnect(0).await?;
        let mut bobby = server.connect(&options).await?;
        listen(&mut bobby).await?;
        let (_, batch) = batch(&mut bobby).await?;
        assert_eq!((batch.prev, batch.items.len()), (0, number + 1));
    }
    server.discard().await
}

async fn a_publisher_with_a_users_name_takes_nothing() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    say(&mut alice, "bobby", "hello").await?;
    let mut publisher = user(&server, "bobby", "phone").await?;
    say(&mut publisher, "alice", "a word from a script").await?;
    hears_nothing(&mut publisher).await?;
    publisher.disconnect(0).await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    let (_, batch) = batch(&mut bobby).await?;
    assert_eq!(batch.texts(), ["hello", "a word from a script"]);
    server.discard().await
}

async fn a_subscriber_of_other_topics_takes_nothing() -> anyhow::Result<()> {
    let server = server_with(OPEN_TOPICS).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let others = [("news/#", 1), ("$session", 0), ("$im/reply", 0), ("#", 1)];
    let granted = bobby.subscribe(&others).await?;
    assert!(granted.iter().all(|code| *code < 0x80), "{granted:02x?}");
    say(&mut alice, "bobby", "hello").await?;
    let id = alice.publish("news/today", "rain", 1, false).await?;
    assert_eq!(alice.acked(4, id).await?, 0);
    let news = bobby.publish_on("news/today").await?;
    bobby.puback(news.id).await?;
    hears_nothing(&mut bobby).await?;
    bobby.disconnect(0).await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    assert_eq!(batch(&mut bobby).await?.1.span(), (0, 1));
    server.discard().await
}

async fn delivery_ends_with_the_subscription() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    say(&mut alice, "bobby", "one").await?;
    items_to(&mut bobby, 1).await?;
    bobby.unsubscribe(&["$im/inbox"]).await?;
    say(&mut alice, "bobby", "two").await?;
    hears_nothing(&mut bobby).await?;
    listen(&mut bobby).await?;
    let (_, batch) = batch(&mut bobby).await?;
    assert_eq!((batch.span(), batch.texts()), ((1, 2), vec!["two"]));
    server.discard().await
}

async fn configure_starts_delivery_without_a_subscription() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let options: ConnectOptions = server.user(VERSIONS[0], "bobby", "phone");
    let mut bobby = server.connect(&options).await?;
    say(&mut alice, "bobby", "one").await?;
    let wish = json!({"max_batch": 2048});
    let configured = bobby.ok("$im/session/configure", &wish).await?;
    assert_eq!(configured["deliver"], false);
    hears_nothing(&mut bobby).await?;
    let wish = json!({"deliver": true});
    let configured = bobby.ok("$im/session/configure", &wish).await?;
    assert_eq!(
        (&configured["deliver"], &configured["max_batch"]),
        (&json!(true), &json!(2048))
    );
    assert_eq!(items_to(&mut bobby, 1).await?.len(), 1);
    server.discard().await
}
