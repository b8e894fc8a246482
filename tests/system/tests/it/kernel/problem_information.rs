//! Reason Strings on acknowledgements, and who gets none.

use partyline_testkit::TestBroker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::broker_with;
use super::property::{MAXIMUM_PACKET_SIZE, REASON_STRING};

const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;

/// What comes back for these packets, byte for byte.
async fn answer(broker: &TestBroker, properties: &[u8], packets: &[u8]) -> Vec<u8> {
    let mut connect = b"\x00\x04MQTT\x05\x02\x00\x00".to_vec();
    connect.push(u8::try_from(properties.len()).unwrap());
    connect.extend_from_slice(properties);
    connect.extend_from_slice(b"\x00\x03one");
    let mut stream = TcpStream::connect(broker.addresses().mqtt).await.unwrap();
    let length = u8::try_from(connect.len()).unwrap();
    let sent = [&[0x10, length][..], &connect, packets, &[0xe0, 0]].concat();
    stream.write_all(&sent).await.unwrap();
    let mut came = Vec::new();
    let reading = stream.read_to_end(&mut came);
    tokio::time::timeout(partyline_testkit::PATIENCE, reading)
        .await
        .expect("the connection ends")
        .unwrap();
    let connack = 2 + usize::from(came[1]);
    assert_eq!(came[0], 0x20);
    came.split_off(connack)
}

fn acknowledgement(first: u8, fields: &[u8], reason: &str, codes: &[u8]) -> Vec<u8> {
    let text = u8::try_from(reason.len()).unwrap();
    let mut section = Vec::new();
    if !reason.is_empty() {
        section.extend_from_slice(&[REASON_STRING, 0, text]);
        section.extend_from_slice(reason.as_bytes());
    }
    let properties = u8::try_from(section.len()).unwrap();
    let body = [fields, &[properties], &section, codes].concat();
    [&[first, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

/// [MQTT-3.1.2-29], [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.9.2-1]
#[tokio::test]
async fn a_refusal_says_why_to_who_wants_to_know_and_takes_it() {
    let broker = broker_with(|config| config.limits.retained_messages = 0).await;
    let forbidden = "publishing to this topic is not allowed";
    let full = "the app's limit of retained messages is reached";
    let long = "secret/a/filter/that/leaves/no/room/for/a/reason";
    let long_reason = format!("{long}: subscribing to this filter is not allowed");
    let subscribe = |filter: &str| {
        let length = u8::try_from(filter.len()).unwrap();
        let head = [0x82, 10 + length, 0, 7, 0, 0, 1, b'a', 1, 0, length];
        [&head[..], filter.as_bytes(), &[0]].concat()
    };
    for (packet, first, fields, reason, codes) in [
        (
            b"\x32\x0e\x00\x08secret/a\x00\x07\x00x".to_vec(),
            0x40,
            &b"\x00\x07\x87"[..],
            forbidden,
            &b""[..],
        ),
        (
            b"\x34\x0e\x00\x08secret/a\x00\x07\x00x".to_vec(),
            0x50,
            b"\x00\x07\x87",
            forbidden,
            b"",
        ),
        (
            b"\x33\x07\x00\x01a\x00\x07\x00x".to_vec(),
            0x40,
            b"\x00\x07\x97",
            full,
            b"",
        ),
        (
            b"\x32\x0a\x00\x04$SYS\x00\x07\x00x".to_vec(),
            0x40,
            b"\x00\x07\x87",
            "clients cannot publish to this topic",
            b"",
        ),
        (
            subscribe("a/#/b"),
            0x90,
            b"\x00\x07",
            "a/#/b: + stands alone in its level, # alone in the last",
            b"\x01\x8f",
        ),
        (
            subscribe(long),
            0x90,
            b"\x00\x07",
            &long_reason,
            b"\x01\x87",
        ),
    ] {
        let whole = acknowledgement(first, fields, reason, codes);
        for (properties, told) in [
            (&[][..], true),
            (&[REQUEST_PROBLEM_INFORMATION, 1], true),
            (&[REQUEST_PROBLEM_INFORMATION, 0], false),
            (&[MAXIMUM_PACKET_SIZE, 0, 0, 0, 64], whole.len() <= 64),
        ] {
            let reason = if told { reason } else { "" };
            let came = answer(&broker, properties, &packet).await;
            assert_eq!(came, acknowledgement(first, fields, reason, codes));
        }
    }
    broker.stop().await;
}
