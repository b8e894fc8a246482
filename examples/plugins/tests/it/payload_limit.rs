use partyline_examples::PayloadLimit;
use partyline_testkit::{ConnectOptions, Packet, RawClient, Version};
use serde_json::json;

use crate::{broker, builder, client};

const QUOTA_EXCEEDED: u8 = 0x97;
/// The property Reason String.
const REASON_STRING: u8 = 0x1F;

#[tokio::test]
async fn the_longest_prefix_decides_and_the_refusal_says_why() {
    let broker = broker::<PayloadLimit>(json!({
        "bytes": 10,
        "prefixes": [
            { "prefix": "sensors/", "bytes": 4 },
            { "prefix": "sensors/camera/", "bytes": 100 },
        ],
    }))
    .await;
    let mut client = client(&broker, "c").await;
    client.subscribe(&[("#", 0)]).await.unwrap();
    for (topic, bytes, reason) in [
        ("a", 10, 0),
        ("a", 11, QUOTA_EXCEEDED),
        ("sensors/1", 4, 0),
        ("sensors/1", 5, QUOTA_EXCEEDED),
        ("sensors/camera/1", 100, 0),
        ("sensors/camera/1", 101, QUOTA_EXCEEDED),
    ] {
        for qos in [1, 2] {
            let payload = vec![b'x'; bytes];
            let done = client.publish_done(topic, payload, qos, false).await;
            assert_eq!(
                done.unwrap(),
                reason,
                "{bytes} bytes on {topic} at QoS {qos}"
            );
            if reason == 0 {
                client.take(topic).await.unwrap();
            }
        }
    }
    // At QoS 0 there is nobody to tell.
    client.publish("a", "12345678901", 0, false).await.unwrap();
    client.quiet().await.unwrap();

    client
        .publish("sensors/1", "12345", 1, false)
        .await
        .unwrap();
    let Packet::AckWith(_, _, _, properties) = client.next().await.unwrap() else {
        panic!("no PUBACK");
    };
    let why = properties.text(REASON_STRING);
    assert_eq!(why.as_deref(), Some("5 bytes where 4 are allowed"));
    broker.stop().await;
}

#[tokio::test]
async fn a_client_of_3_1_1_hears_of_success_and_nobody_gets_it() {
    let broker = broker::<PayloadLimit>(json!({ "bytes": 2 })).await;
    let mut old = broker
        .client(ConnectOptions::new(Version::V311, "old"))
        .await
        .unwrap();
    old.subscribe(&[("a", 0)]).await.unwrap();
    assert_eq!(old.publish_done("a", "123", 1, false).await.unwrap(), 0);
    old.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn a_will_has_the_same_limit() {
    let broker = broker::<PayloadLimit>(json!({ "bytes": 2 })).await;
    for (payload, code) in [(&b"12"[..], 0), (b"123", QUOTA_EXCEEDED)] {
        let options = ConnectOptions::new(Version::V5, "c").will("a", payload, 0, false);
        let mut client = RawClient::open(broker.addresses().mqtt, Version::V5)
            .await
            .unwrap();
        assert_eq!(client.connect(&options).await.unwrap().code, code);
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_reload_changes_limits_and_a_bad_one_changes_nothing() {
    let broker = broker::<PayloadLimit>(json!({ "bytes": 2 })).await;
    let mut client = client(&broker, "c").await;
    let twice = json!([{ "prefix": "a", "bytes": 1 }, { "prefix": "a", "bytes": 2 }]);
    let bad = json!({ "payload-limit": { "bytes": 9, "prefixes": twice } });
    assert!(broker.reload(bad).await.is_err());
    let reason = client.publish_done("a", "123", 1, false).await.unwrap();
    assert_eq!(reason, QUOTA_EXCEEDED);

    let wider = json!({ "payload-limit": { "bytes": 3 } });
    broker.reload(wider).await.unwrap();
    assert_eq!(client.publish_done("a", "123", 1, false).await.unwrap(), 0);
    broker.stop().await;
}

#[tokio::test]
async fn a_key_that_it_does_not_have_is_named() {
    let error = builder::<PayloadLimit>(json!({ "max": 2 })).start().await;
    let error = format!("{:#}", error.unwrap_err());
    assert!(
        error.contains("payload-limit") && error.contains("max"),
        "{error}"
    );
}

mod conformance {
    use super::*;

    partyline_testkit::conformance!(partyline_testkit::Conformance::<PayloadLimit>::new(
        json!({ "bytes": 9 })
    ));
}
