//! Packets that the standard forbids: they end their own connection and nobody else's.

mod mutations;
pub(super) mod panics;
mod properties;
mod table;

use partyline_testkit::{Packet, RawClient, TestBroker, Version};

use self::table::{Broken, ONLY_V3, ONLY_V5, V3_AND_V5};
use super::{VERSIONS, broker, client};

/// Somebody who is connected all the while, and must not notice.
async fn bystander(broker: &TestBroker) -> RawClient {
    let mut bystander = client(broker, Version::V5, "bystander").await;
    bystander.subscribe(&[("#", 2)]).await.unwrap();
    bystander
}

async fn exchange(bystander: &mut RawClient) {
    bystander
        .publish_done("still/here", "x", 2, false)
        .await
        .unwrap();
    assert_eq!(bystander.take("still/here").await.unwrap().payload, "x");
    bystander.quiet().await.unwrap();
}

async fn breaks(broker: &TestBroker, version: Version, (name, bytes, reason): Broken) {
    let mut client = client(broker, version, "broken").await;
    client.send_bytes(bytes).await.unwrap();
    if version == Version::V5 {
        match client.next().await.unwrap() {
            Packet::Disconnect(said, _) => assert_eq!(said, reason, "{name}: {said:#04x}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(
        client.next().await.unwrap(),
        Packet::Closed,
        "{version:?}, {name}"
    );
    // A panic closes the connection too.
    assert_eq!(panics::counted(), 0, "{version:?}, {name}");
}

#[tokio::test]
async fn each_ends_its_connection_with_a_fitting_reason() {
    panics::count();
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    for version in VERSIONS {
        let only = if version == Version::V5 {
            ONLY_V5
        } else {
            ONLY_V3
        };
        for broken in V3_AND_V5.iter().chain(only) {
            breaks(&broker, version, *broken).await;
        }
        exchange(&mut bystander).await;
    }
    broker.stop().await;
    assert_eq!(panics::counted(), 0);
}

#[tokio::test]
async fn what_came_before_a_broken_packet_is_done() {
    panics::count();
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "broken").await;
        let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let body = [b"\x00\x01a\x00\x07", properties, b"x"].concat();
        let length = u8::try_from(body.len()).unwrap();
        let bytes = [&[0x32, length][..], &body, b"\xc0\x00\x00\x00\xc0\x00"].concat();
        client.send_bytes(&bytes).await.unwrap();
        assert_eq!(client.next().await.unwrap(), Packet::Ack(4, 7, 0));
        assert_eq!(client.next().await.unwrap(), Packet::PingResp);
        if version == Version::V5 {
            assert_eq!(client.disconnected().await.unwrap(), 0x81);
        }
        assert_eq!(client.next().await.unwrap(), Packet::Closed);
        assert_eq!(bystander.take("a").await.unwrap().payload, "x");
        bystander.quiet().await.unwrap();
    }
    broker.stop().await;
    assert_eq!(panics::counted(), 0);
}

#[tokio::test]
async fn a_packet_cut_short_by_the_end_of_the_connection_does_nothing() {
    panics::count();
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    // The same bytes are a PUBLISH in every version: in 3.1 and 3.1.1 the 0 is payload.
    let publish = b"\x32\x09\x00\x01a\x00\x07\x00xyz";
    for version in VERSIONS {
        for cut in 1..publish.len() {
            let mut client = client(&broker, version, "broken").await;
            client.send_bytes(&publish[..cut]).await.unwrap();
            drop(client);
        }
        exchange(&mut bystander).await;
    }
    broker.stop().await;
    assert_eq!(panics::counted(), 0);
}
