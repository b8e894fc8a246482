//! What only somebody who means harm would send: it costs them their connection, and others nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use partyline_testkit::{ConnectOptions, PATIENCE, Packet, RawClient, TestBroker, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::broken_packets::panics;
use super::{VERSIONS, broker, broker_with, client, property};

/// Somebody who is connected all the while, and must not notice.
async fn bystander(broker: &TestBroker) -> RawClient {
    let mut bystander = client(broker, Version::V311, "bystander").await;
    bystander.subscribe(&[("still/#", 2)]).await.unwrap();
    bystander
}

/// The broker works as before, for who was there and for who comes.
async fn undisturbed(broker: &TestBroker, bystander: &mut RawClient) {
    let mut comer = client(broker, Version::V5, "comer").await;
    comer
        .publish_done("still/here", "x", 2, false)
        .await
        .unwrap();
    assert_eq!(bystander.take("still/here").await.unwrap().payload, "x");
    bystander.quiet().await.unwrap();
    assert_eq!(panics::counted(), 0);
}

/// Everything that comes until the other side closes.
async fn until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    // A reset ends it as well.
    let reading = stream.read_to_end(&mut read);
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it closes in time");
    read
}

/// Sends a byte whenever the broker has been silent for a moment; true if it closed meanwhile.
async fn drip(address: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = [0; 1024];
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            return true;
        }
        let read = stream.read(&mut answer);
        let read = tokio::time::timeout(Duration::from_millis(50), read).await;
        if matches!(read, Ok(Ok(0) | Err(_))) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_connect_that_drips_in_is_cut_in_time() {
    panics::count();
    let broker = broker_with(|config| config.mqtt.connect_timeout = 1).await;
    let mut bystander = bystander(&broker).await;
    let addresses = broker.addresses();
    // A CONNECT of 120 bytes, and a request whose headers never end.
    let connect = [
        b"\x10\x76\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x69",
        &[b'x'; 105][..],
    ]
    .concat();
    let request = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    let began = Instant::now();
    let (mqtt, ws) = tokio::join!(drip(addresses.mqtt, &connect), drip(addresses.ws, &request),);
    assert!(mqtt && ws);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} for a limit of 1 s");
    undisturbed(&broker, &mut bystander).await;
    broker.stop().await;
}

/// The body of a packet with many user properties, `before` and `after` them.
fn flooded(before: &[u8], after: &[u8], properties: usize) -> Vec<u8> {
    let one = b"\x26\x00\x01k\x00\x01v";
    let mut length = one.len() * properties;
    let mut body = before.to_vec();
    while length >= 0x80 {
        body.push(0x80 | u8::try_from(length & 0x7f).unwrap());
        length >>= 7;
    }
    body.push(u8::try_from(length).unwrap());
    body.extend(one.repeat(properties));
    body.extend(after);
    body
}

#[tokio::test]
async fn floods_of_user_properties_are_carried_or_refused() {
    panics::count();
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    for properties in [1_000, 30_000] {
        let mut flooder = RawClient::open(broker.addresses().mqtt, Version::V5)
            .await
            .unwrap();
        let connect = flooded(b"\x00\x04MQTT\x05\x02\x00\x3c", b"\x00\x01f", properties);
        flooder.send_packet(0x10, &connect).await.unwrap();
        let answer = flooder.next().await.unwrap();
        assert!(matches!(answer, Packet::ConnAck(connack) if connack.code == 0));

        let mut listener = client(&broker, Version::V5, "listener").await;
        listener.subscribe(&[("flood", 1)]).await.unwrap();
        let publish = flooded(b"\x00\x05flood\x00\x01", b"x", properties);
        flooder.send_packet(0x32, &publish).await.unwrap();
        assert_eq!(flooder.acked(4, 1).await.unwrap(), 0);
        // Carried in order and in full, to who takes so large a packet.
        let message = listener.take("flood").await.unwrap();
        let count = message
            .properties
            .0
            .iter()
            .filter(|(id, _)| *id == property::USER_PROPERTY);
        assert_eq!(count.count(), properties);

        let subscribe = flooded(b"\x00\x02", b"\x00\x05flood\x01", properties);
        flooder.send_packet(0x82, &subscribe).await.unwrap();
        let answer = flooder.next().await.unwrap();
        assert_eq!(answer, Packet::SubAck(2, vec![1]));
        let bye = flooded(b"\x00", b"", properties);
        flooder.send_packet(0xe0, &bye).await.unwrap();
        flooder.closed().await.unwrap();
    }
    undisturbed(&broker, &mut bystander).await;
    broker.stop().await;
}

#[tokio::test]
async fn a_flood_of_filters_meets_the_limit_of_subscriptions() {
    panics::count();
    let broker = broker_with(|config| config.limits.subscriptions = 100).await;
    let mut bystander = bystander(&broker).await;
    for version in VERSIONS {
        let mut flooder = client(&broker, version, "flooder").await;
        let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let filters = 20_000;
        let mut body = BytesMut::from(&[b"\x00\x01", properties].concat()[..]);
        for number in 0..filters {
            let filter = format!("f/{number:06}");
            body.put_u16(u16::try_from(filter.len()).unwrap());
            body.put_slice(filter.as_bytes());
            body.put_u8(0);
        }
        flooder.send_packet(0x82, &body).await.unwrap();
        let Packet::SubAck(1, codes) = flooder.next().await.unwrap() else {
            panic!("{version:?}: no SUBACK");
        };
        assert_eq!(codes.len(), filters);
        let refusal = if version == Version::V5 { 0x97 } else { 0x80 };
        assert!(codes[..100].iter().all(|code| *code == 0));
        assert!(codes[100..].iter().all(|code| *code == refusal));
        flooder.disconnect(0).await.unwrap();
    }
    undisturbed(&broker, &mut bystander).await;
    broker.stop().await;
}

#[tokio::test]
async fn the_longest_topics_and_a_thousand_levels_are_refused_or_carried() {
    panics::count();
    let (longest, deep) = ("x".repeat(65_535), format!("{}#", "a/".repeat(999)));
    let low = broker().await;
    let mut bystander = bystander(&low).await;
    for topic in [&longest, &deep] {
        let mut abuser = client(&low, Version::V5, "abuser").await;
        assert_eq!(abuser.subscribe(&[(topic, 0)]).await.unwrap(), [0x8f]);
        assert_eq!(abuser.unsubscribe(&[topic]).await.unwrap(), [0x8f]);
        let name = topic.replace('#', "a");
        abuser.publish(&name, "x", 0, false).await.unwrap();
        assert_eq!(abuser.disconnected().await.unwrap(), 0x90);
        abuser.closed().await.unwrap();
    }
    undisturbed(&low, &mut bystander).await;
    low.stop().await;

    // With limits as wide as they go.
    let high = broker_with(|config| {
        config.limits.topic_bytes = 65_535;
        config.limits.topic_levels = 1_024;
    });
    let high = high.await;
    let mut one = client(&high, Version::V5, "one").await;
    let plus = format!("{}+", "+/".repeat(1_023));
    let hash = format!("{}#", "a/".repeat(1_023));
    let codes = one
        .subscribe(&[(&plus, 1), (&hash, 1), (&longest, 1)])
        .await;
    assert_eq!(codes.unwrap(), [1, 1, 1]);
    let name = format!("{}a", "a/".repeat(1_023));
    for topic in [&name, &longest] {
        assert_eq!(one.publish_done(topic, "x", 1, true).await.unwrap(), 0);
        assert_eq!(one.take(topic).await.unwrap().payload, "x");
    }
    assert_eq!(one.unsubscribe(&[&plus, &hash]).await.unwrap(), [0, 0]);
    one.disconnect(0).await.unwrap();
    high.stop().await;
    assert_eq!(panics::counted(), 0);
}

/// A client's frame, whatever it says of its length.
fn frame(first: u8, length: &[u8], payload: &[u8]) -> Vec<u8> {
    // Masked with zeros, which leaves the payload as it is.
    [&[first], length, &[0; 4], payload].concat()
}

#[tokio::test]
async fn broken_websockets_end_alone() {
    panics::count();
    let broker = broker_with(|config| config.mqtt.connect_timeout = 2).await;
    let mut bystander = bystander(&broker).await;
    let open = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: mqtt\r\n\r\n";
    let huge = [&[0xff][..], &u64::MAX.to_be_bytes()].concat();
    let large = [&[0xff][..], &(1_u64 << 40).to_be_bytes()].concat();
    for (name, frames) in [
        ("text", frame(0x81, &[0x82], b"hi")),
        ("not masked", b"\x82\x02\xc0\x00".to_vec()),
        ("a reserved bit", frame(0xc2, &[0x82], b"\xc0\x00")),
        ("a reserved opcode", frame(0x83, &[0x82], b"\xc0\x00")),
        ("a length of 64 bits", frame(0x82, &huge, b"")),
        ("a length of a terabyte", frame(0x82, &large, b"")),
        (
            "a continuation of nothing",
            frame(0x80, &[0x82], b"\xc0\x00"),
        ),
        ("a ping in parts", frame(0x09, &[0x81], b"x")),
        (
            "a ping that is too long",
            frame(0x89, &[0xfe, 0, 126], &[b'x'; 126]),
        ),
        ("no MQTT", frame(0x82, &[0x85], b"GET /")),
        (
            "a text in a binary",
            [frame(0x02, &[0x81], b"\x10"), frame(0x81, &[0x81], b"x")].concat(),
        ),
        (
            "pings for ever",
            frame(0x89, &[0x84], b"ping").repeat(10_000),
        ),
        (
            "parts of nothing for ever",
            [
                frame(0x02, &[0x80], b""),
                frame(0x00, &[0x80], b"").repeat(10_000),
            ]
            .concat(),
        ),
        ("closed at once", frame(0x88, &[0x82], b"\x03\xe8")),
        ("a close that is broken", frame(0x88, &[0x81], b"\x03")),
    ] {
        let mut stream = TcpStream::connect(broker.addresses().ws).await.unwrap();
        stream.write_all(open).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{name}: {answer:?}");
        // The broker may close before it has taken everything.
        let _ = stream.write_all(&frames).await;
        until_closed(stream).await;
        undisturbed(&broker, &mut bystander).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn garbage_on_any_port_disturbs_nobody() {
    panics::count();
    let broker = broker_with(|config| config.mqtt.connect_timeout = 1).await;
    let mut bystander = bystander(&broker).await;
    let addresses = broker.addresses();
    let long = b"GET / HTTP/1.1\r\nX: "
        .iter()
        .copied()
        .chain(vec![b'x'; 100_000])
        .collect::<Vec<_>>();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    let mqtt = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x".to_vec();
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let random: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for address in [addresses.mqtt, addresses.ws, addresses.http] {
        for bytes in [&long, &tls, &mqtt, &get, &random] {
            let served = address == addresses.mqtt && bytes == &mqtt;
            let kept = address == addresses.http && (bytes == &get || bytes == &tls);
            if served || kept {
                continue;
            }
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(bytes).await;
            // Half of it is said to be all: a listener need not wait for more.
            let _ = stream.shutdown().await;
            until_closed(stream).await;
        }
        undisturbed(&broker, &mut bystander).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_will_of_any_kind_is_refused_or_published() {
    panics::count();
    let broker = broker().await;
    let mut bystander = bystander(&broker).await;
    bystander.subscribe(&[("#", 0)]).await.unwrap();
    let long = "x".repeat(65_535);
    for (topic, code) in [
        ("", 0x90),
        ("a/+", 0x90),
        ("#", 0x90),
        ("$SYS/x", 0x90),
        ("$im/message/send", 0x90),
        ("$share/g/a", 0x90),
        (&long, 0x90),
        ("secret/x", 0x87),
    ] {
        let options = ConnectOptions::new(Version::V5, "willing").will(topic, b"x", 1, true);
        let (mut willing, connack) = super::connect(&broker, &options).await;
        assert_eq!(connack.code, code, "{topic}");
        willing.closed().await.unwrap();
    }
    bystander.quiet().await.unwrap();
    let large = vec![b'w'; 65_535].leak();
    let options = ConnectOptions::new(Version::V5, "willing").will("large", large, 1, false);
    let (willing, connack) = super::connect(&broker, &options).await;
    assert_eq!(connack.code, 0);
    drop(willing);
    assert_eq!(bystander.take("large").await.unwrap().payload.len(), 65_535);
    undisturbed(&broker, &mut bystander).await;
    broker.stop().await;
}
