//! How large a batch may be.

use partyline_plugin::database::Database;
use partyline_protocol::{Configured, ItemBody, Sent, names};
use serde_json::json;

use crate::support::fixture::Client;
use crate::support::{Fixture, app, on_both};

on_both!(
    batches_have_eight_kib_at_most,
    a_client_may_ask_for_more_or_less,
    the_clients_own_limit_holds,
    every_message_fits_a_batch,
    what_alone_is_too_large_is_named,
);

/// Bytes of a PUBLISH to the inbox beside its payload: fixed header, topic, packet id, and an
/// empty list of properties.
const PACKET: usize = 5 + 2 + 9 + 2 + 1;

async fn fill(fixture: &Fixture, count: usize, length: usize) {
    let alice = fixture.client("alice", "a1");
    for n in 0..count {
        alice
            .send("bobby", &format!("m{n}"), &"x".repeat(length))
            .await
            .unwrap();
    }
}

/// Takes everything; gives the bytes of each packet.
async fn packets(client: &mut Client, head: u64) -> Vec<usize> {
    let mut packets = Vec::new();
    loop {
        let batch = client.next().await;
        packets.push(batch.bytes + PACKET);
        let (_, seq) = batch.span();
        batch.ack();
        if seq == head {
            return packets;
        }
    }
}

async fn batches_have_eight_kib_at_most(database: Database) {
    let fixture = Fixture::new(database).await;
    fill(&fixture, 40, 1000).await;
    let mut bobby = fixture.client("bobby", "b1");
    bobby.subscribe().await;
    let packets = packets(&mut bobby, 40).await;
    assert!(packets.iter().all(|bytes| *bytes <= 8192), "{packets:?}");
    assert!(packets.len() <= 8, "and little less: {packets:?}");
}

async fn a_client_may_ask_for_more_or_less(database: Database) {
    let fixture = Fixture::new(database).await;
    fill(&fixture, 40, 1000).await;
    for (device, max_batch, count) in [("b1", 65536, 1), ("b2", 2048, 40)] {
        let mut bobby = fixture.client("bobby", device);
        let wish = json!({"max_batch": max_batch, "roaming": true, "deliver": true});
        bobby
            .call::<Configured>(names::SESSION_CONFIGURE, wish)
            .await
            .unwrap();
        let packets = packets(&mut bobby, 40).await;
        assert_eq!(packets.len(), count);
        assert!(
            packets.iter().all(|bytes| *bytes <= max_batch),
            "{packets:?}"
        );
    }
}

async fn the_clients_own_limit_holds(database: Database) {
    let fixture = Fixture::new(database).await;
    fill(&fixture, 20, 300).await;
    let mut bobby = fixture.client_with("bobby", "b1", Some(1500));
    let wish = json!({"max_batch": 65536, "deliver": true});
    bobby
        .call::<Configured>(names::SESSION_CONFIGURE, wish)
        .await
        .unwrap();
    let packets = packets(&mut bobby, 20).await;
    assert!(packets.iter().all(|bytes| *bytes <= 1500), "{packets:?}");
}

/// The largest that is taken, with all names at their longest, to the sender's other device.
async fn every_message_fits_a_batch(database: Database) {
    let fixture = Fixture::new(database).await;
    let (sender, target) = ("s".repeat(128), "t".repeat(128));
    let mut mentions = Vec::new();
    let limit = 2048 - r#"{"title":"","alert":""}"#.len() - 2 * 250;
    while serde_json::to_string(&mentions).unwrap().len() + 80 < limit {
        mentions.push(json!({"username": "somebody", "appkey": app().as_str()}));
    }
    let request = json!({
        "client_msg_id": "\"".repeat(64), "target_type": "single", "target_id": target,
        "target_appkey": app().as_str(), "msg_type": "text",
        "msg_body": {"text": "x".repeat(4096 - r#"{"text":""}"#.len())},
        "no_notification": true, "need_receipt": true, "expire": u32::MAX, "at": mentions,
        "notification": {"title": "t".repeat(250), "alert": "a".repeat(250)},
    });
    let (one, mut other) = (fixture.client(&sender, "a1"), fixture.client(&sender, "a2"));
    other.subscribe().await;
    one.call::<Sent>(names::MESSAGE_SEND, request)
        .await
        .unwrap();
    let batch = other.next().await;
    assert_eq!(batch.message(0).msg_body.as_str().len(), 4096);
    let bytes = batch.bytes + PACKET;
    assert!(bytes <= 8192, "{bytes}");
}

async fn what_alone_is_too_large_is_named(database: Database) {
    let fixture = Fixture::new(database).await;
    let alice = fixture.client("alice", "a1");
    alice.send("bobby", "m1", "small").await.unwrap();
    alice.send("bobby", "m2", &"x".repeat(3000)).await.unwrap();
    alice.send("bobby", "m3", "small too").await.unwrap();
    let mut bobby = fixture.client_with("bobby", "b1", Some(1500));
    bobby.subscribe().await;
    let batch = bobby.next().await;
    assert!(batch.bytes + PACKET <= 1500);
    assert_eq!(batch.span(), (0, 3));
    let oversize = &batch.batch.items[1];
    let ItemBody::Oversize(place) = &oversize.body else {
        panic!("{oversize:?}")
    };
    assert_eq!(
        place.conversation.to_string(),
        format!("single:{}:alice", app())
    );
    assert_eq!((oversize.seq.get(), place.msg_seq.get()), (2, 2));
    assert_eq!(batch.texts()[2], (3, "small too".to_owned()));
}
