//! Every property of MQTT 5 in every packet of a client: once, twice, and cut short (§2.2.2.2).

use partyline_testkit::{Packet, RawClient, TestBroker, Version};

use super::super::{broker, client};
use super::panics;

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;

/// Where a property may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Connect,
    Will,
    Publish,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP: their first byte.
    Ack(u8),
    Subscribe,
    Unsubscribe,
    Disconnect,
}

use Place::{Ack, Connect, Disconnect, Publish, Subscribe, Unsubscribe, Will};

const PLACES: [Place; 10] = [
    Connect,
    Will,
    Publish,
    Ack(0x40),
    Ack(0x50),
    Ack(0x62),
    Ack(0x70),
    Subscribe,
    Unsubscribe,
    Disconnect,
];

const TEXT: &[u8] = b"\x00\x01t";
const NUMBER: &[u8] = &[0, 0, 3, 0xe8];

/// A property with a valid value, and the packets of clients that may have it.
const PROPERTIES: [(u8, &[u8], &[Place]); 27] = [
    (0x01, &[1], &[Publish, Will]),
    (0x02, NUMBER, &[Publish, Will]),
    (0x03, TEXT, &[Publish, Will]),
    (0x08, TEXT, &[Publish, Will]),
    (0x09, TEXT, &[Publish, Will]),
    (0x0b, &[1], &[Subscribe]),
    // Only 0 goes together with a CONNECT that had none.
    (0x11, &[0; 4], &[Connect, Disconnect]),
    (0x12, TEXT, &[]),
    (0x13, &[0, 9], &[]),
    (0x17, &[1], &[Connect]),
    (0x18, NUMBER, &[Will]),
    (0x19, &[1], &[Connect]),
    (0x1a, TEXT, &[]),
    // For servers to send, but no error of a client's.
    (0x1c, TEXT, &[Disconnect]),
    (
        0x1f,
        TEXT,
        &[Ack(0x40), Ack(0x50), Ack(0x62), Ack(0x70), Disconnect],
    ),
    (0x21, &[0, 9], &[Connect]),
    (0x22, &[0, 9], &[Connect]),
    (0x23, &[0, 1], &[Publish]),
    (0x24, &[1], &[]),
    (0x25, &[1], &[]),
    (0x26, b"\x00\x01k\x00\x01v", &PLACES),
    (0x27, NUMBER, &[Connect]),
    (0x28, &[1], &[]),
    (0x29, &[1], &[]),
    (0x2a, &[1], &[]),
    // No properties at all.
    (0x00, &[1], &[]),
    (0x7f, &[1], &[]),
];

/// A whole packet with this property section.
fn packet(place: Place, properties: &[u8]) -> Vec<u8> {
    let length = [u8::try_from(properties.len()).unwrap()];
    let section = [&length, properties].concat();
    let (first, body) = match place {
        Connect => (
            0x10,
            [b"\x00\x04MQTT\x05\x02\x00\x3c", &section[..], b"\x00\x01c"].concat(),
        ),
        Will => (
            0x10,
            [
                b"\x00\x04MQTT\x05\x06\x00\x3c\x00\x00\x01c",
                &section[..],
                b"\x00\x01w\x00\x01x",
            ]
            .concat(),
        ),
        Publish => (0x32, [b"\x00\x01a\x00\x01", &section[..], b"x"].concat()),
        Ack(first) => (first, [b"\x00\x01\x00", &section[..]].concat()),
        Subscribe => (0x82, [b"\x00\x01", &section[..], b"\x00\x01a\x00"].concat()),
        Unsubscribe => (0xa2, [b"\x00\x01", &section[..], b"\x00\x01a"].concat()),
        Disconnect => (0xe0, [b"\x00", &section[..]].concat()),
    };
    let length = u8::try_from(body.len()).unwrap();
    [&[first, length][..], &body].concat()
}

/// The code with which the broker refuses the packet; `None` if it takes it.
async fn refusal(broker: &TestBroker, place: Place, bytes: &[u8]) -> Option<u8> {
    if matches!(place, Connect | Will) {
        let mut client = RawClient::open(broker.addresses().mqtt, Version::V5)
            .await
            .unwrap();
        client.send_bytes(bytes).await.unwrap();
        let Packet::ConnAck(connack) = client.next().await.unwrap() else {
            panic!("no CONNACK");
        };
        if connack.code == 0 {
            client.disconnect(0).await.unwrap();
            return None;
        }
        client.closed().await.unwrap();
        return Some(connack.code);
    }
    let mut client = client(broker, Version::V5, "one").await;
    client.send_bytes(bytes).await.unwrap();
    if place != Disconnect {
        client.send_bytes(&[0xe0, 0]).await.unwrap();
    }
    loop {
        match client.next().await.unwrap() {
            Packet::Disconnect(reason, _) => {
                client.closed().await.unwrap();
                return Some(reason);
            }
            Packet::Closed => return None,
            _ => {}
        }
    }
}

fn check(wrong: &mut Vec<String>, code: Option<u8>, wanted: Option<u8>, asked: &str) {
    if code != wanted {
        wrong.push(format!("{asked}: {code:02x?}, not {wanted:02x?}"));
    }
}

#[tokio::test]
async fn each_stands_where_it_belongs_and_once() {
    panics::count();
    let broker = broker().await;
    let mut wrong = Vec::new();
    for (id, value, belongs) in PROPERTIES {
        let once = [&[id], value].concat();
        let twice = once.repeat(2);
        for place in PLACES {
            let asked = format!("{id:#04x} in {place:?}");
            let code = refusal(&broker, place, &packet(place, &once)).await;
            if !belongs.contains(&place) {
                // A client's PUBLISH must not have one, of a property that a PUBLISH can have.
                let of_servers = id == 0x0b && place == Publish;
                let wanted = if of_servers { PROTOCOL } else { MALFORMED };
                check(&mut wrong, code, Some(wanted), &asked);
                continue;
            }
            check(&mut wrong, code, None, &asked);
            let code = refusal(&broker, place, &packet(place, &twice)).await;
            let wanted = (id != 0x26).then_some(MALFORMED);
            check(&mut wrong, code, wanted, &format!("{asked}, twice"));
            // Its last byte is missing, and the section says so.
            let short = once.split_last().unwrap().1;
            let code = refusal(&broker, place, &packet(place, short)).await;
            check(
                &mut wrong,
                code,
                Some(MALFORMED),
                &format!("{asked}, cut short"),
            );
        }
    }
    assert_eq!(wrong, [""; 0]);
    broker.stop().await;
    assert_eq!(panics::counted(), 0);
}
