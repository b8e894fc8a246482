//! CONNECT that is refused, and connections that never send one.

use partyline_testkit::{ConnectOptions, Packet, RawClient, TestBroker, Version};

use super::property::{AUTH_METHOD, MAXIMUM_PACKET_SIZE, REASON_STRING};
use super::{VERSIONS, broker, broker_with, by_version, client, connect};

/// CONNECT with these bytes as its body.
async fn send(broker: &TestBroker, version: Version, body: &[u8]) -> RawClient {
    let mut client = RawClient::open(broker.addresses().mqtt, version)
        .await
        .unwrap();
    client.send_packet(0x10, body).await.unwrap();
    client
}

/// Name, level and flags of a CONNECT, then a keep-alive, no properties, and `rest`.
fn body(version: Version, flags: u8, rest: &[u8]) -> Vec<u8> {
    let head: &[u8] = match version {
        Version::V31 => b"\x00\x06MQIsdp\x03",
        Version::V311 => b"\x00\x04MQTT\x04",
        Version::V5 => b"\x00\x04MQTT\x05",
    };
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    [head, &[flags, 0, 60], properties, rest].concat()
}

#[tokio::test]
async fn what_is_not_mqtt_is_closed_without_an_answer() {
    let broker = broker().await;
    let bodies: [&[u8]; 7] = [
        b"\x00\x04MQTX\x04\x02\x00\x3c\x00\x01x",
        b"\x00\x04mqtt\x04\x02\x00\x3c\x00\x01x",
        b"\x00\x06MQIsdp\x04\x02\x00\x3c\x00\x01x",
        b"\x00\x06MQIsdp\x05\x02\x00\x3c\x00\x00\x01x",
        b"\x00\x00\x04\x02\x00\x3c\x00\x01x",
        b"\x00",
        b"",
    ];
    for body in bodies {
        let mut client = send(&broker, Version::V311, body).await;
        assert_eq!(client.next().await.unwrap(), Packet::Closed, "{body:?}");
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_unknown_level_is_answered_as_the_nearest_version() {
    let broker = broker().await;
    for (level, version) in [(1, Version::V311), (3, Version::V311), (6, Version::V5)] {
        let body = [b"\x00\x04MQTT", &[level, 2, 0, 60][..], b"\x00\x01x"].concat();
        let mut client = send(&broker, version, &body).await;
        let Packet::ConnAck(connack) = client.next().await.unwrap() else {
            panic!("no CONNACK")
        };
        assert_eq!(connack.code, by_version(version, 0x84, 1), "level {level}");
        client.closed().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_malformed_connect_is_answered_by_mqtt_5_alone() {
    let broker = broker().await;
    let cases: [(&str, u8, &[u8]); 9] = [
        ("reserved flag", 0b0000_0011, b"\x00\x01x"),
        ("will QoS without a will", 0b0000_1010, b"\x00\x01x"),
        ("will RETAIN without a will", 0b0010_0010, b"\x00\x01x"),
        ("will QoS 3", 0b0001_1110, b"\x00\x01x\x00\x01w\x00\x00"),
        ("no client id", 0b0000_0010, b""),
        ("client id cut short", 0b0000_0010, b"\x00\x05x"),
        (
            "client id of broken UTF-8",
            0b0000_0010,
            b"\x00\x02\xc3\x28",
        ),
        ("user name missing", 0b1000_0010, b"\x00\x01x"),
        ("bytes behind the payload", 0b0000_0010, b"\x00\x01xyz"),
    ];
    for version in VERSIONS {
        for (name, flags, rest) in cases {
            let mut client = send(&broker, version, &body(version, flags, rest)).await;
            let answer = client.next().await.unwrap();
            match (version, answer) {
                (Version::V5, Packet::ConnAck(connack)) => {
                    assert_eq!(connack.code, 0x81, "{name}");
                    client.closed().await.unwrap();
                }
                // [MQTT-3.1.4-1] of 3.1.1
                (Version::V31 | Version::V311, Packet::Closed) => {}
                (_, answer) => panic!("{version:?}, {name}: {answer:?}"),
            }
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_password_without_a_user_name_is_refused_by_311() {
    let broker = broker().await;
    for version in VERSIONS {
        let body = body(version, 0b0100_0010, b"\x00\x01x\x00\x01p");
        let mut client = send(&broker, version, &body).await;
        match (version, client.next().await.unwrap()) {
            (Version::V311, Packet::Closed) => {}
            (Version::V31 | Version::V5, Packet::ConnAck(connack)) => assert_eq!(connack.code, 0),
            (_, answer) => panic!("{version:?}: {answer:?}"),
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_empty_client_id_is_refused_where_it_cannot_be_kept() {
    let broker = broker().await;
    for (version, clean) in [
        (Version::V31, true),
        (Version::V31, false),
        (Version::V311, false),
    ] {
        let mut options = ConnectOptions::new(version, "");
        options.clean = clean;
        let (mut client, connack) = connect(&broker, &options).await;
        assert_eq!(connack.code, 2, "{version:?}, clean {clean}");
        client.closed().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_client_id_that_is_no_name_is_refused() {
    let broker = broker().await;
    for version in VERSIONS {
        for id in ["x".repeat(129), "a\u{1}b".to_owned()] {
            let (mut client, connack) = connect(&broker, &ConnectOptions::new(version, id)).await;
            assert_eq!(connack.code, by_version(version, 0x85, 2));
            client.closed().await.unwrap();
        }
        let (_client, connack) =
            connect(&broker, &ConnectOptions::new(version, "x".repeat(128))).await;
        assert_eq!(connack.code, 0);
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_authentication_method_is_refused() {
    let broker = broker().await;
    let options = ConnectOptions::new(Version::V5, "one").property(AUTH_METHOD, &b"\x00\x01m"[..]);
    let (mut client, connack) = connect(&broker, &options).await;
    assert_eq!(connack.code, 0x8c);
    assert!(connack.properties.text(REASON_STRING).is_some());
    client.closed().await.unwrap();
    let silent = options.property(0x17, &b"\x00"[..]);
    let (_client, connack) = connect(&broker, &silent).await;
    assert_eq!(
        connack.properties.text(REASON_STRING),
        None,
        "no problem information was asked for"
    );
    broker.stop().await;
}

#[tokio::test]
async fn authentication_data_without_a_method_is_refused() {
    let broker = broker().await;
    let options = ConnectOptions::new(Version::V5, "one").property(0x16, &b"\x00\x01d"[..]);
    let (mut client, connack) = connect(&broker, &options).await;
    assert_eq!(connack.code, 0x82);
    client.closed().await.unwrap();
    broker.stop().await;
}

/// Such a client could not even be sent its CONNACK.
#[tokio::test]
async fn a_maximum_packet_size_that_is_far_too_small_is_refused() {
    let broker = broker().await;
    for (size, code) in [(5, 0x95), (63, 0x95), (64, 0)] {
        let options = ConnectOptions::new(Version::V5, "one")
            .property(MAXIMUM_PACKET_SIZE, u32::to_be_bytes(size).to_vec());
        let (_client, connack) = connect(&broker, &options).await;
        assert_eq!(connack.code, code, "{size}");
        // The reason string is left out where it would not fit.
        let said = connack.properties.text(REASON_STRING);
        assert_eq!(said.is_some(), size == 63);
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_will_that_cannot_be_published_is_refused() {
    let broker = broker().await;
    for version in VERSIONS {
        for (topic, v5) in [
            ("$im/inbox", 0x90),
            ("$SYS", 0x90),
            ("a/+", 0x90),
            ("", 0x90),
            ("secret/plans", 0x87),
        ] {
            let options = ConnectOptions::new(version, "one").will(topic, b"gone", 1, false);
            let (mut client, connack) = connect(&broker, &options).await;
            assert_eq!(
                connack.code,
                by_version(version, v5, 5),
                "{version:?}, {topic}"
            );
            client.closed().await.unwrap();
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        client
            .send_packet(0x10, &body(version, 2, b"\x00\x01x"))
            .await
            .unwrap();
        if version == Version::V5 {
            assert_eq!(client.disconnected().await.unwrap(), 0x82);
        }
        client.closed().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_first_packet_that_is_no_connect_is_closed_without_an_answer() {
    let broker = broker().await;
    for version in VERSIONS {
        for bytes in [
            &b"\xc0\x00"[..],
            b"\x30\x04\x00\x01ax",
            b"\xe0\x00",
            b"\x11\x00",
            b"GET /",
        ] {
            let mut client = RawClient::open(broker.addresses().mqtt, version)
                .await
                .unwrap();
            client.send_bytes(bytes).await.unwrap();
            assert_eq!(client.next().await.unwrap(), Packet::Closed);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_connect_that_is_never_finished_is_closed_in_time() {
    let broker = broker_with(|config| config.mqtt.connect_timeout = 1).await;
    let addresses = broker.addresses();
    for address in [addresses.mqtt, addresses.ws] {
        for bytes in [&b""[..], b"\x10", b"\x10\x20\x00\x04MQTT"] {
            let mut client = RawClient::open(address, Version::V5).await.unwrap();
            client.send_bytes(bytes).await.unwrap();
            assert_eq!(client.next().await.unwrap(), Packet::Closed);
        }
    }
    broker.stop().await;
}
