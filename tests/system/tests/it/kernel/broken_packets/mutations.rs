//! Valid packets, mutated at random: the broker may refuse them, and must not panic.

use partyline_system_tests::OTHER_APP;
use partyline_testkit::{ConnectOptions, PATIENCE, Packet, RawClient, TestBroker, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{VERSIONS, broker, exchange, panics};

/// A connection's worth of valid packets, CONNECT first.
fn valid(version: Version) -> Vec<&'static [u8]> {
    match version {
        Version::V31 | Version::V311 => vec![
            if version == Version::V31 {
                b"\x10\x1d\x00\x06MQIsdp\x03\x0e\x00\x3c\x00\x03one\x00\x04will\x00\x04gone"
            } else {
                b"\x10\x1b\x00\x04MQTT\x04\x0e\x00\x3c\x00\x03one\x00\x04will\x00\x04gone"
            },
            b"\x82\x0e\x00\x01\x00\x03a/b\x01\x00\x03+/#\x02",
            b"\x30\x0a\x00\x03a/bhello",
            b"\x33\x0c\x00\x03a/b\x00\x02hello",
            b"\x34\x0c\x00\x03a/b\x00\x03hello",
            b"\x62\x02\x00\x03",
            b"\x40\x02\x00\x01",
            b"\x50\x02\x00\x01",
            b"\x70\x02\x00\x01",
            b"\xa2\x07\x00\x04\x00\x03a/b",
            b"\xc0\x00",
            b"\xe0\x00",
        ],
        Version::V5 => vec![
            b"\x10\x2a\x00\x04MQTT\x05\x0e\x00\x3c\x08\x11\x00\x00\x00\x3c\x21\x00\x0a\x00\x03one\x05\x18\x00\x00\x00\x01\x00\x04will\x00\x04gone",
            b"\x82\x0f\x00\x01\x00\x00\x03a/b\x01\x00\x03+/#\x2e",
            b"\x30\x19\x00\x03a/b\x0e\x01\x01\x02\x00\x00\x00\x3c\x26\x00\x01k\x00\x01vhello",
            b"\x33\x18\x00\x03a/b\x00\x02\x0b\x03\x00\x01t\x09\x00\x04\x00\x01\x02\x03hello",
            b"\x34\x0d\x00\x03a/b\x00\x03\x00hello",
            b"\x62\x04\x00\x03\x00\x00",
            b"\x40\x04\x00\x01\x00\x00",
            b"\x50\x03\x00\x01\x10",
            b"\x70\x02\x00\x01",
            b"\xa2\x08\x00\x04\x00\x00\x03a/b",
            b"\xc0\x00",
            b"\xe0\x07\x04\x05\x11\x00\x00\x00\x01",
        ],
    }
}

/// One change: where, as a part of the whole, and what.
#[derive(Debug, Clone)]
enum Change {
    Flip(f64, u8),
    Set(f64, u8),
    Insert(f64, Vec<u8>),
    Delete(f64, usize),
    Cut(f64),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0.0..1.0;
    prop_oneof![
        (place(), 0_u8..8).prop_map(|(at, bit)| Change::Flip(at, 1 << bit)),
        (
            place(),
            prop_oneof![Just(0_u8), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()]
        )
            .prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), vec(any::<u8>(), 1..5)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), 1_usize..5).prop_map(|(at, count)| Change::Delete(at, count)),
        place().prop_map(Change::Cut),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place within some dozens of bytes"
)]
fn place(at: f64, length: usize) -> usize {
    (at * length as f64) as usize
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match change {
        Change::Flip(at, bits) => bytes[place(*at, length)] ^= bits,
        Change::Set(at, byte) => bytes[place(*at, length)] = *byte,
        Change::Insert(at, new) => {
            let at = place(*at, length);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Delete(at, count) => {
            let at = place(*at, length);
            bytes.drain(at..length.min(at + count));
        }
        Change::Cut(at) => bytes.truncate(place(*at, length)),
    }
}

/// Which of the valid packets come after the CONNECT, and which packet is changed how.
type Case = (Vec<usize>, Vec<(usize, Change)>);

fn bytes_of(version: Version, (order, changes): &Case) -> Vec<u8> {
    let valid = valid(version);
    let others = order.iter().map(|pick| valid[1 + pick % (valid.len() - 1)]);
    let mut packets: Vec<Vec<u8>> = std::iter::once(valid[0])
        .chain(others)
        .map(<[u8]>::to_vec)
        .collect();
    for (which, change) in changes {
        // CONNECT is left whole in most cases: behind a broken one nothing is looked at.
        let which = if *which == 0 {
            0
        } else {
            which % packets.len()
        };
        apply(change, &mut packets[which]);
    }
    packets.concat()
}

/// Sends it all and waits until the broker has closed, which it does at the end of the stream.
async fn send(broker: &TestBroker, bytes: &[u8]) {
    let mut stream = TcpStream::connect(broker.addresses().mqtt).await.unwrap();
    // The broker may close before everything is sent.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answers));
    let _ = reading.await.expect("the broker closes in time");
}

fn survives(version: Version) {
    panics::count();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let broker = runtime.block_on(broker());
    // In another app, so that nothing of what is sent may reach it.
    let elsewhere = ConnectOptions::new(Version::V5, "bystander").login(OTHER_APP, "x");
    let mut bystander = runtime.block_on(broker.client(elsewhere)).unwrap();
    runtime.block_on(bystander.subscribe(&[("#", 2)])).unwrap();
    let cases = (vec(0_usize..64, 1..12), vec((0_usize..12, change()), 0..4));
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let ran = runner.run(&cases, |case| {
        let bytes = bytes_of(version, &case);
        runtime.block_on(async {
            send(&broker, &bytes).await;
            // A new connection is served as ever.
            super::client(&broker, Version::V311, "probe")
                .await
                .ping()
                .await
                .unwrap();
        });
        prop_assert_eq!(
            panics::counted(),
            0,
            "the broker panicked on {:02x?}",
            bytes
        );
        Ok(())
    });
    ran.unwrap();
    runtime.block_on(async {
        exchange(&mut bystander).await;
        broker.stop().await;
    });
}

#[tokio::test]
async fn begin_with_packets_that_are_valid() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = RawClient::open(broker.addresses().mqtt, version)
            .await
            .unwrap();
        let valid = valid(version);
        let (goodbye, rest) = valid.split_last().unwrap();
        client.send_bytes(&rest.concat()).await.unwrap();
        client.ping().await.unwrap();
        let goodbyes = client
            .unasked()
            .filter(|packet| matches!(packet, Packet::Disconnect(..)));
        assert_eq!(goodbyes.count(), 0, "{version:?}");
        client.send_bytes(goodbye).await.unwrap();
        client.closed().await.unwrap();
    }
    broker.stop().await;
}

#[test]
fn of_3_1_do_no_harm() {
    survives(VERSIONS[0]);
}

#[test]
fn of_3_1_1_do_no_harm() {
    survives(VERSIONS[1]);
}

#[test]
fn of_5_do_no_harm() {
    survives(VERSIONS[2]);
}
