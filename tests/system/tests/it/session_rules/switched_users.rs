//! Another user on an open connection gets nothing of the one before.

use partyline_system_tests::Server;
use partyline_testkit::{Packet, RawClient};
use serde_json::json;

use super::entrance::{device, open_server_with, service};
use crate::chat::stage::{batch, hears_nothing, items_to, listen, say, user};

/// Users have plain topics of their own name, and all of them the board.
const RULES: &str = r#"
[[plugins.acl.rules]]
effect = "allow"
action = "all"
topic = "home/%u/#"
[[plugins.acl.rules]]
effect = "allow"
action = "all"
topic = "board/#"
"#;

async fn log_in(client: &mut RawClient, name: &str) -> anyhow::Result<()> {
    let password = format!("{name}-password");
    let login = json!({"username": name, "password": password});
    client.ok("$im/session/login", &login).await?;
    Ok(())
}

async fn kiosk_of_alice(server: &Server) -> anyhow::Result<RawClient> {
    let options = device(server, "kiosk").property(0x21, 2_u16.to_be_bytes().to_vec());
    let mut kiosk = server.connect(&options).await?;
    log_in(&mut kiosk, "alice").await?;
    Ok(kiosk)
}

crate::chat::stage::on_both! {
    a_batch_in_flight_is_not_acknowledged_by_the_next_user,
    what_is_not_sent_yet_stays_with_its_user,
    plain_subscriptions_and_queued_messages_are_authorized_again,
    a_logout_takes_the_users_topics_and_leaves_the_others,
}

async fn a_batch_in_flight_is_not_acknowledged_by_the_next_user() -> anyhow::Result<()> {
    let server = open_server_with("").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let mut kiosk = kiosk_of_alice(&server).await?;
    listen(&mut kiosk).await?;
    say(&mut bobby, "alice", "for alice").await?;
    let (packet, taken) = batch(&mut kiosk).await?;
    assert_eq!(taken.span(), (0, 1));
    log_in(&mut kiosk, "bobby").await?;
    kiosk.puback(packet.id).await?;
    // Bobby's inbox opens by the subscription of before.
    assert_eq!(
        items_to(&mut kiosk, 1).await?[0]["conversation"],
        format!("single:{}:alice", server.app)
    );
    hears_nothing(&mut kiosk).await?;
    log_in(&mut kiosk, "alice").await?;
    assert_eq!(
        batch(&mut kiosk).await?.1,
        taken,
        "it still waits for alice"
    );
    server.discard().await
}

async fn what_is_not_sent_yet_stays_with_its_user() -> anyhow::Result<()> {
    let server = open_server_with("").await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let mut kiosk = kiosk_of_alice(&server).await?;
    listen(&mut kiosk).await?;
    say(&mut bobby, "alice", "one").await?;
    let (packet, _) = batch(&mut kiosk).await?;
    say(&mut bobby, "alice", "two").await?;
    kiosk.ok("$im/session/logout", &json!({})).await?;
    kiosk.puback(packet.id).await?;
    log_in(&mut kiosk, "bobby").await?;
    let own = items_to(&mut kiosk, 2).await?;
    assert!(own.iter().all(|item| item["from"]["username"] == "bobby"));
    hears_nothing(&mut kiosk).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    listen(&mut alice).await?;
    assert_eq!(batch(&mut alice).await?.1.texts(), ["one", "two"]);
    server.discard().await
}

async fn plain_subscriptions_and_queued_messages_are_authorized_again() -> anyhow::Result<()> {
    let server = open_server_with(RULES).await?;
    let mut backend = server.connect(&service(&server, "backend")).await?;
    let mut kiosk = kiosk_of_alice(&server).await?;
    let filters = [("home/alice/#", 1), ("board/#", 1)];
    assert_eq!(kiosk.subscribe(&filters).await?, [1, 1]);
    // Two go out, the others wait for their acknowledgement.
    for number in 0..5_u8 {
        for topic in ["home/alice/door", "board/news"] {
            let id = backend.publish(topic, [number], 1, false).await?;
            assert_eq!(backend.acked(4, id).await?, 0);
        }
    }
    let door = kiosk.publish_on("home/alice/door").await?;
    let news = kiosk.publish_on("board/news").await?;
    log_in(&mut kiosk, "bobby").await?;
    kiosk.puback(door.id).await?;
    kiosk.puback(news.id).await?;
    for number in 1..5_u8 {
        let news = kiosk.publish_on("board/news").await?;
        assert_eq!(&news.payload[..], [number]);
        kiosk.puback(news.id).await?;
    }
    let id = backend.publish("home/alice/door", "open", 1, false).await?;
    backend.acked(4, id).await?;
    kiosk.ping().await?;
    let door = kiosk.unasked().find(
        |packet| matches!(packet, Packet::Publish(publish) if publish.topic.starts_with("home/")),
    );
    assert_eq!(door, None, "bobby hears nothing of alice's door");
    assert_eq!(kiosk.subscribe(&[("home/alice/#", 1)]).await?, [0x87]);
    assert_eq!(kiosk.subscribe(&[("home/bobby/#", 1)]).await?, [1]);
    server.discard().await
}

async fn a_logout_takes_the_users_topics_and_leaves_the_others() -> anyhow::Result<()> {
    let server = open_server_with(RULES).await?;
    let mut backend = server.connect(&service(&server, "backend")).await?;
    let mut kiosk = kiosk_of_alice(&server).await?;
    let filters = [("home/alice/#", 1), ("board/#", 1)];
    assert_eq!(kiosk.subscribe(&filters).await?, [1, 1]);
    kiosk.ok("$im/session/logout", &json!({})).await?;
    for topic in ["home/alice/door", "board/news"] {
        backend.publish(topic, "x", 0, false).await?;
    }
    // In the order of their sending, so nothing can come before it any more.
    kiosk.publish_on("board/news").await?;
    assert_eq!(
        kiosk
            .unasked()
            .filter(|p| matches!(p, Packet::Publish(p) if p.topic != "$session"))
            .count(),
        0
    );
    server.discard().await
}
