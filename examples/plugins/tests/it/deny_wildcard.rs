use partyline_examples::DenyWildcard;
use partyline_testkit::{ConnectOptions, Version};
use serde_json::json;

use crate::{broker, client, user};

const NOT_AUTHORIZED: u8 = 0x87;

#[tokio::test]
async fn what_matches_too_much_is_refused() {
    let broker = broker::<DenyWildcard>(json!({ "also": ["building/#"] })).await;
    let mut client = client(&broker, "c").await;
    let no = NOT_AUTHORIZED;
    for (filter, code) in [
        ("#", no),
        ("+/#", no),
        ("+/temp", no),
        ("$share/g/#", no),
        ("building/#", no),
        ("building/1/#", 1),
        ("building/+", 1),
        ("a/#", 1),
        ("a/+/b", 1),
        ("$share/g/a/#", 1),
    ] {
        let codes = client.subscribe(&[(filter, 1)]).await.unwrap();
        assert_eq!(codes, [code], "{filter}");
    }
    // What was refused brings nothing.
    assert_eq!(client.publish_done("b", "x", 1, false).await.unwrap(), 0);
    client.quiet().await.unwrap();

    let old = ConnectOptions::new(Version::V311, "old");
    let mut old = broker.client(old).await.unwrap();
    let codes = old.subscribe(&[("#", 0), ("a/#", 0)]).await.unwrap();
    assert_eq!(codes, [0x80, 0]);
    broker.stop().await;
}

#[tokio::test]
async fn the_server_is_spared_unless_it_is_named() {
    let broker_of = |servers: bool| broker::<DenyWildcard>(json!({ "servers": servers }));
    for (servers, code) in [(false, 0), (true, NOT_AUTHORIZED)] {
        let broker = broker_of(servers).await;
        let mut server = user(&broker, "$service").await;
        assert_eq!(server.subscribe(&[("#", 0)]).await.unwrap(), [code]);
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_leading_plus_can_be_allowed() {
    let broker = broker::<DenyWildcard>(json!({ "leading": false })).await;
    let mut client = client(&broker, "c").await;
    let filters = [("+/temp", 0), ("#", 0), ("+/#", 0)];
    let codes = client.subscribe(&filters).await.unwrap();
    assert_eq!(codes, [0, NOT_AUTHORIZED, NOT_AUTHORIZED]);
    broker.stop().await;
}

mod conformance {
    use super::*;

    partyline_testkit::conformance!(partyline_testkit::Conformance::<DenyWildcard>::new(
        json!({ "also": ["building/#"] })
    ));
}
