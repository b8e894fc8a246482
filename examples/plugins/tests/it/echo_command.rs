use partyline_examples::Echo;
use partyline_testkit::{ConnectOptions, Version};
use serde_json::json;

use crate::{broker, client, user};

/// Implementation specific error: what a PUBACK says of most errors.
const ERROR: u8 = 0x83;
/// Payload format invalid.
const INVALID: u8 = 0x99;

#[tokio::test]
async fn what_is_said_comes_back() {
    let broker = broker::<Echo>(json!({})).await;
    let mut anna = user(&broker, "anna").await;
    let request = json!({ "id": 7, "words": "hello" });
    let (reply, reason) = anna.request("$x/echo/say", &request).await.unwrap();
    let said = json!({ "id": 7, "ok": { "words": "hello", "by": "anna" } });
    assert_eq!((reply, reason), (said, 0));

    let old = ConnectOptions::new(Version::V311, "old");
    let mut old = broker.client(old).await.unwrap();
    let said = old
        .ok("$x/echo/say", &json!({ "words": "ho" }))
        .await
        .unwrap();
    assert_eq!(said, json!({ "words": "ho", "by": null }));
    broker.stop().await;
}

#[tokio::test]
async fn what_cannot_be_said_is_an_error_in_reply_and_acknowledgement() {
    let broker = broker::<Echo>(json!({ "max_bytes": 4 })).await;
    let mut client = client(&broker, "c").await;
    for (request, what) in [
        (json!({ "words": "12345" }), "5 of 4 bytes of words"),
        (json!({ "word": "1" }), "words"),
        (json!([]), "invalid request"),
    ] {
        let (reply, reason) = client.request("$x/echo/say", &request).await.unwrap();
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(what), "{message}");
        assert!([ERROR, INVALID].contains(&reason), "{reason:#04x}");
    }
    let (reply, _) = client.request("$x/echo/shout", &json!({})).await.unwrap();
    assert!(reply["error"]["code"].is_u64(), "{reply}");
    broker.stop().await;
}

mod conformance {
    use super::*;

    partyline_testkit::conformance!(partyline_testkit::Conformance::<Echo>::new(json!({})));
}
