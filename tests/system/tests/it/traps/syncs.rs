//! `$im/inbox/sync`: a client that lost its place, or its disk, reads by hand.

use partyline_system_tests::Server;
use partyline_testkit::RawClient;
use serde_json::{Value, json};

use crate::chat::batch::texts;
use crate::chat::stage::{batch, cursor_reaches, items_to, listen, say, server, starts_at, user};

const SYNC: &str = "$im/inbox/sync";

/// Bobby with five messages, the first three of them acknowledged; and the epoch.
async fn with_place(server: &Server) -> anyhow::Result<(RawClient, String)> {
    let mut alice = user(server, "alice", "phone").await?;
    for text in ["one", "two", "three"] {
        say(&mut alice, "bobby", text).await?;
    }
    let mut bobby = user(server, "bobby", "phone").await?;
    let epoch = bobby.ok(SYNC, &json!({"from": 0, "limit": 1})).await?;
    let epoch = epoch["epoch"].as_str().unwrap_or_default().to_owned();
    listen(&mut bobby).await?;
    items_to(&mut bobby, 3).await?;
    cursor_reaches(&mut bobby, &epoch, 3).await?;
    bobby.disconnect(0).await?;
    for text in ["four", "five"] {
        say(&mut alice, "bobby", text).await?;
    }
    Ok((user(server, "bobby", "phone").await?, epoch))
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

crate::chat::stage::on_both! {
    pages_can_be_read_below_and_above_the_cursor,
    a_sync_starts_delivery_and_moves_no_cursor,
    a_wrong_epoch_or_a_place_ahead_gets_a_reset_with_heads,
    a_page_by_hand_can_be_acknowledged,
}

async fn pages_can_be_read_below_and_above_the_cursor() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut bobby, epoch) = with_place(&server).await?;
    let below = json!({"epoch": epoch, "from": 1, "limit": 2});
    let page = bobby.ok(SYNC, &below).await?;
    assert_eq!(texts(items(&page)), ["two", "three"]);
    let place = (&page["prev"], &page["seq"], &page["head"]);
    assert_eq!(place, (&json!(1), &json!(3), &json!(5)));
    let above = json!({"epoch": epoch, "from": 4});
    let page = bobby.ok(SYNC, &above).await?;
    assert_eq!(texts(items(&page)), ["five"]);
    assert_eq!(page["seq"], 5);
    let page = bobby.ok(SYNC, &json!({"epoch": epoch, "from": 5})).await?;
    assert_eq!((items(&page).len(), &page["seq"]), (0, &json!(5)));
    server.discard().await
}

async fn a_sync_starts_delivery_and_moves_no_cursor() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut bobby, epoch) = with_place(&server).await?;
    bobby.ok(SYNC, &json!({"epoch": epoch, "from": 0})).await?;
    let (_, delivered) = batch(&mut bobby).await?;
    assert_eq!(
        (delivered.span(), delivered.texts()),
        ((3, 5), vec!["four", "five"])
    );
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 3);
    server.discard().await
}

async fn a_wrong_epoch_or_a_place_ahead_gets_a_reset_with_heads() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut bobby, epoch) = with_place(&server).await?;
    let conversation = format!("single:{}:alice", server.app);
    for place in [
        json!({"epoch": "another", "from": 2}),
        json!({"epoch": "another", "from": 0}),
        json!({"epoch": epoch, "from": 6}),
        json!({"from": 2}),
    ] {
        let reset = bobby.ok(SYNC, &place).await?;
        assert_eq!(reset["reset"], true, "{place}");
        assert_eq!(
            (&reset["epoch"], &reset["head"]),
            (&json!(epoch), &json!(5))
        );
        let heads = reset["conversations"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        assert_eq!(heads.len(), 1, "{reset}");
        assert_eq!(heads[0]["conversation"], conversation);
        assert_eq!(heads[0]["last_seq"], 5);
        assert!(reset.get("items").is_none(), "no bodies in {reset}");
    }
    server.discard().await
}

async fn a_page_by_hand_can_be_acknowledged() -> anyhow::Result<()> {
    let server = server().await?;
    let (mut bobby, epoch) = with_place(&server).await?;
    let wish = json!({"ack": "explicit"});
    bobby.ok("$im/session/configure", &wish).await?;
    let page = bobby.ok(SYNC, &json!({"epoch": epoch, "from": 3})).await?;
    assert_eq!(page["seq"], 5);
    // At once, whether or not a batch has come by now.
    let ack = json!({"epoch": epoch, "seq": 4});
    assert_eq!(bobby.ok("$im/inbox/ack", &ack).await?, json!({"seq": 4}));
    bobby.disconnect(0).await?;
    assert_eq!(starts_at(&server, "bobby", "phone").await?, 4);
    server.discard().await
}
