//! A resumed session's client may not have its handlers yet: under `$`, subscriptions belong to
//! the connection.

use crate::chat::stage::{VERSIONS, batch, hears_nothing, items_to, listen, say, server, user};
use partyline_testkit::RawClient;

crate::chat::stage::on_both! {
    a_resumed_session_gets_nothing_before_it_subscribes_again,
    an_unacknowledged_batch_is_not_repeated_by_the_session,
}

async fn a_resumed_session_gets_nothing_before_it_subscribes_again() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    for (number, version) in (0_u64..).zip(VERSIONS) {
        let device = format!("phone-{number}");
        let options = server.user(version, "bobby", &device).persistent(3600);
        let mut bobby = server.connect(&options).await?;
        listen(&mut bobby).await?;
        say(&mut alice, "bobby", &format!("before {number}")).await?;
        items_to(&mut bobby, number * 2 + 1).await?;
        drop(bobby);
        say(&mut alice, "bobby", &format!("after {number}")).await?;

        let address = server.addresses().mqtt.parse()?;
        let mut bobby = RawClient::open(address, version).await?;
        let connack = bobby.connect(&options).await?;
        assert!(connack.code == 0 && connack.session_present, "{connack:?}");
        hears_nothing(&mut bobby).await?;
        listen(&mut bobby).await?;
        let (packet, batch) = batch(&mut bobby).await?;
        assert_eq!(batch.texts(), [format!("after {number}")]);
        // In-flight batches are no session state: it is a new packet, not a repeated one.
        assert!(!packet.dup);
        bobby.puback(packet.id).await?;
    }
    server.discard().await
}

async fn an_unacknowledged_batch_is_not_repeated_by_the_session() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    for version in VERSIONS {
        let options = server.user(version, "bobby", "phone").persistent(3600);
        let mut bobby = server.connect(&options).await?;
        listen(&mut bobby).await?;
        say(&mut alice, "bobby", &format!("{version:?}")).await?;
        let (_, first) = batch(&mut bobby).await?;
        drop(bobby);
        let mut bobby = server.connect(&options).await?;
        hears_nothing(&mut bobby).await?;
        listen(&mut bobby).await?;
        let (packet, again) = batch(&mut bobby).await?;
        assert_eq!(again, first);
        bobby.puback(packet.id).await?;
        bobby.disconnect(0).await?;
    }
    server.discard().await
}
