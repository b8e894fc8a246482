//! Some clients acknowledge when a handler is done, in any order, plain messages and batches mixed.

use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, Publish, RawClient, Version};

use crate::chat::stage::{
    OPEN_TOPICS, batch, cursor_reaches, hears_nothing, listen, say, server_with, starts_at, user,
};

/// Bobby with three plain messages and one batch, none acknowledged.
async fn mixed(server: &Server) -> anyhow::Result<(RawClient, Vec<Publish>, Publish)> {
    let name = format!("{}/$service", server.app);
    let service =
        ConnectOptions::new(Version::V5, "backend").login(name, server.master_secret.clone());
    let mut service = server.connect(&service).await?;
    let mut alice = user(server, "alice", "phone").await?;
    let mut bobby = user(server, "bobby", "phone").await?;
    assert_eq!(bobby.subscribe(&[("news/+", 1)]).await?, [1]);
    listen(&mut bobby).await?;
    let mut plain = Vec::new();
    for number in 0..3_u8 {
        let id = service.publish("news/today", [number], 1, false).await?;
        assert_eq!(service.acked(4, id).await?, 0);
        plain.push(bobby.publish_on("news/today").await?);
        if number == 1 {
            say(&mut alice, "bobby", "between").await?;
        }
    }
    let (packet, between) = batch(&mut bobby).await?;
    assert_eq!(between.span(), (0, 1));
    Ok((bobby, plain, packet))
}

crate::chat::stage::on_both! {
    pubacks_of_plain_messages_do_not_move_the_cursor,
    pubacks_out_of_order_settle_each_its_own_packet,
    unacknowledged_plain_messages_do_not_hold_up_the_inbox,
}

async fn pubacks_of_plain_messages_do_not_move_the_cursor() -> anyhow::Result<()> {
    let server = server_with(OPEN_TOPICS).await?;
    let (mut bobby, plain, _) = mixed(&server).await?;
    for packet in plain.iter().rev() {
        bobby.puback(packet.id).await?;
    }
    hears_nothing(&mut bobby).await?;
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 0);
    server.discard().await
}

async fn pubacks_out_of_order_settle_each_its_own_packet() -> anyhow::Result<()> {
    let server = server_with(OPEN_TOPICS).await?;
    let (mut bobby, plain, packet) = mixed(&server).await?;
    let epoch = packet.json()?["epoch"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for id in [plain[2].id, packet.id, plain[0].id, plain[1].id] {
        bobby.puback(id).await?;
    }
    cursor_reaches(&mut bobby, &epoch, 1).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    say(&mut alice, "bobby", "next").await?;
    let (_, next) = batch(&mut bobby).await?;
    assert_eq!((next.span(), next.texts()), ((1, 2), vec!["next"]));
    server.discard().await
}

async fn unacknowledged_plain_messages_do_not_hold_up_the_inbox() -> anyhow::Result<()> {
    let server = server_with(OPEN_TOPICS).await?;
    let (mut bobby, _, packet) = mixed(&server).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    bobby.puback(packet.id).await?;
    say(&mut alice, "bobby", "next").await?;
    assert_eq!(batch(&mut bobby).await?.1.span(), (1, 2));
    server.discard().await
}
