//! After a reconnect clients publish again what was not acknowledged, with the same packet id and
//! DUP: what was carried out once is not carried out again.

use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, RawClient, Version};
use serde_json::{Value, json};

use crate::chat::batch::texts;
use crate::chat::stage::{VERSIONS, items_between, listen, refused, say, server, text_to, user};

const SEND: &str = "$im/message/send";

fn persistent(server: &Server, version: Version) -> ConnectOptions {
    let device = format!("phone-{version:?}");
    server.user(version, "alice", &device).persistent(3600)
}

async fn publish(client: &mut RawClient, qos: u8, dup: bool, text: &str) -> anyhow::Result<()> {
    let payload = text_to("bobby", text, text).to_string();
    client
        .send_publish(7, SEND, payload.as_bytes(), qos, false, dup, &[])
        .await
}

async fn reply(client: &mut RawClient) -> anyhow::Result<Value> {
    client.publish_on("$im/reply").await?.json()
}

/// What bobby has in the end, after a last message.
async fn texts_of_bobby(server: &Server, count: u64) -> anyhow::Result<Vec<String>> {
    let mut alice = user(server, "alice", "other").await?;
    let last = say(&mut alice, "bobby", "last").await?;
    assert_eq!(last["seq"], count + 1);
    let mut bobby = user(server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    let items = items_between(&mut bobby, Some(0), count + 1).await?;
    Ok(texts(&items).into_iter().map(str::to_owned).collect())
}

crate::chat::stage::on_both! {
    a_repeated_publish_is_one_message_and_says_so,
    a_connection_lost_before_the_answer_loses_and_doubles_nothing,
    a_connection_lost_after_the_delivery_doubles_nothing,
    a_repeated_publish_at_qos_2_is_one_message,
    dup_alone_makes_no_repetition,
    other_content_under_the_same_id_is_an_error,
    a_message_is_known_after_kill_9,
}

async fn a_repeated_publish_is_one_message_and_says_so() -> anyhow::Result<()> {
    let server = server().await?;
    for version in VERSIONS {
        let text = format!("{version:?}");
        let options = persistent(&server, version);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 1, false, &text).await?;
        let first = reply(&mut alice).await?;
        assert_eq!(alice.acked(4, 7).await?, 0);
        drop(alice);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 1, true, &text).await?;
        let mut again = reply(&mut alice).await?;
        assert_eq!(alice.acked(4, 7).await?, 0);
        assert_eq!(again["ok"]["duplicate"], true);
        again["ok"]["duplicate"] = json!(false);
        assert_eq!(again, first);
        alice.disconnect(0).await?;
    }
    assert_eq!(texts_of_bobby(&server, 2).await?, ["V311", "V5", "last"]);
    server.discard().await
}

async fn a_connection_lost_before_the_answer_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let server = server().await?;
    for version in VERSIONS {
        let text = format!("{version:?}");
        let options = persistent(&server, version);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 1, false, &text).await?;
        drop(alice);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 1, true, &text).await?;
        let answer = reply(&mut alice).await?;
        assert!(answer["ok"]["msg_id"].is_u64(), "{answer}");
        assert_eq!(alice.acked(4, 7).await?, 0);
        alice.disconnect(0).await?;
    }
    assert_eq!(texts_of_bobby(&server, 2).await?, ["V311", "V5", "last"]);
    server.discard().await
}

/// The same when the message is known to have been taken: bobby has it.
async fn a_connection_lost_after_the_delivery_doubles_nothing() -> anyhow::Result<()> {
    let server = server().await?;
    let mut bobby = user(&server, "bobby", "witness").await?;
    listen(&mut bobby).await?;
    for (seq, version) in (1..).zip(VERSIONS) {
        let text = format!("{version:?}");
        let options = persistent(&server, version);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 1, false, &text).await?;
        let items = items_between(&mut bobby, Some(seq - 1), seq).await?;
        assert_eq!(texts(&items), [text.as_str()]);
        drop(alice);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 1, true, &text).await?;
        let again = reply(&mut alice).await?;
        assert_eq!(again["ok"]["duplicate"], true, "{again}");
        assert_eq!(again["ok"]["msg_id"], items[0]["msg_id"]);
        assert_eq!(alice.acked(4, 7).await?, 0);
        alice.disconnect(0).await?;
    }
    bobby.disconnect(0).await?;
    let mut alice = user(&server, "alice", "other").await?;
    assert_eq!(say(&mut alice, "bobby", "last").await?["seq"], 3);
    server.discard().await
}

async fn a_repeated_publish_at_qos_2_is_one_message() -> anyhow::Result<()> {
    let server = server().await?;
    for version in VERSIONS {
        let text = format!("{version:?}");
        let options = persistent(&server, version);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 2, false, &text).await?;
        assert_eq!(alice.acked(5, 7).await?, 0);
        drop(alice);
        let mut alice = server.connect(&options).await?;
        publish(&mut alice, 2, true, &text).await?;
        assert_eq!(alice.acked(5, 7).await?, 0);
        alice.ack(6, 7).await?;
        assert_eq!(alice.acked(7, 7).await?, 0);
        alice.disconnect(0).await?;
    }
    assert_eq!(texts_of_bobby(&server, 2).await?, ["V311", "V5", "last"]);
    server.discard().await
}

async fn dup_alone_makes_no_repetition() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = server.connect(&persistent(&server, Version::V5)).await?;
    for text in ["one", "two"] {
        // The same packet id and DUP, but another message.
        publish(&mut alice, 1, true, text).await?;
        assert_eq!(reply(&mut alice).await?["ok"]["duplicate"], false);
        assert_eq!(alice.acked(4, 7).await?, 0);
    }
    assert_eq!(texts_of_bobby(&server, 2).await?, ["one", "two", "last"]);
    server.discard().await
}

async fn other_content_under_the_same_id_is_an_error() -> anyhow::Result<()> {
    let server = server().await?;
    let mut alice = user(&server, "alice", "phone").await?;
    alice.ok(SEND, &text_to("bobby", "m1", "one")).await?;
    let other = text_to("bobby", "m1", "two");
    assert_eq!(refused(&mut alice, SEND, &other).await?, (870_001, 0x83));
    assert_eq!(texts_of_bobby(&server, 1).await?, ["one", "last"]);
    server.discard().await
}

async fn a_message_is_known_after_kill_9() -> anyhow::Result<()> {
    let mut server = server().await?;
    let options = persistent(&server, Version::V5);
    let mut alice = server.connect(&options).await?;
    publish(&mut alice, 1, false, "one").await?;
    let first = reply(&mut alice).await?;
    server.kill().await?;
    server.start_again().await?;
    let mut alice = server.connect(&options).await?;
    publish(&mut alice, 1, true, "one").await?;
    let again = reply(&mut alice).await?;
    assert_eq!(again["ok"]["duplicate"], true);
    assert_eq!(again["ok"]["msg_id"], first["ok"]["msg_id"]);
    assert_eq!(texts_of_bobby(&server, 1).await?, ["one", "last"]);
    server.discard().await
}
