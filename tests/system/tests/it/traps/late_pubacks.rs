//! Clients keep their acknowledgements over a reconnect: one of the old connection must not count
//! for a batch of the new one.

use crate::chat::stage::{
    VERSIONS, batch, cursor_reaches, hears_nothing, listen, say, server, starts_at, user,
};

crate::chat::stage::on_both! {
    a_puback_of_the_old_connection_acknowledges_nothing_on_the_new,
    a_repeated_puback_does_not_acknowledge_the_next_batch,
}

async fn a_puback_of_the_old_connection_acknowledges_nothing_on_the_new() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    say(&mut alice, "bobby", "hello").await?;
    for version in VERSIONS {
        let options = server.user(version, "bobby", "phone").persistent(3600);
        let mut bobby = server.connect(&options).await?;
        listen(&mut bobby).await?;
        let (old, _) = batch(&mut bobby).await?;
        drop(bobby);
        let mut bobby = server.connect(&options).await?;
        bobby.puback(old.id).await?;
        listen(&mut bobby).await?;
        bobby.puback(old.id).await?;
        let (new, again) = batch(&mut bobby).await?;
        assert_ne!(new.id, old.id, "packet ids go on over a reconnect");
        assert_eq!(again.span(), (0, 1));
        bobby.puback(old.id).await?;
        hears_nothing(&mut bobby).await?;
        bobby.disconnect(0).await?;
        assert_eq!(starts_at(&server, "bobby", "phone").await?, 0);
    }
    server.discard().await
}

async fn a_repeated_puback_does_not_acknowledge_the_next_batch() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    say(&mut alice, "bobby", "one").await?;
    let (first, one) = batch(&mut bobby).await?;
    bobby.puback(first.id).await?;
    cursor_reaches(&mut bobby, &one.epoch, 1).await?;
    say(&mut alice, "bobby", "two").await?;
    let (second, _) = batch(&mut bobby).await?;
    assert_ne!(first.id, second.id);
    for _ in 0..3 {
        bobby.puback(first.id).await?;
    }
    hears_nothing(&mut bobby).await?;
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 1);
    server.discard().await
}
