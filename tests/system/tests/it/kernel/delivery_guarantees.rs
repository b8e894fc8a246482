//! QoS 1 and 2 while both sides lose their connections at random: at QoS 1 everything arrives at
//! least once, at QoS 2 exactly once, and each topic's messages in their order.

use std::collections::{HashMap, HashSet, VecDeque};

use partyline_testkit::{Packet, RawClient, TestBroker, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{broker, kept};

const TOPICS: [&str; 2] = ["left", "right"];
const MESSAGES: usize = 24;
/// Messages that the publisher has open at once.
const WINDOW: usize = 6;

/// What goes wrong, one byte for each packet; when it is used up nothing does.
struct Fate(VecDeque<u8>);

impl Fate {
    fn next(&mut self) -> u8 {
        self.0.pop_front().map_or(u8::MAX, |byte| byte % 8)
    }
}

async fn connect(broker: &TestBroker, version: Version, id: &str) -> RawClient {
    broker.client(kept(version, id)).await.unwrap()
}

struct Publisher<'a> {
    broker: &'a TestBroker,
    version: Version,
    qos: u8,
    client: RawClient,
    /// Packet id, number of the message, and whether its PUBREL is due.
    open: VecDeque<(u16, usize, bool)>,
}

impl Publisher<'_> {
    async fn send(&mut self, id: u16, number: usize, dup: bool) {
        let topic = TOPICS[number % TOPICS.len()];
        let payload = number.to_string();
        let qos = self.qos;
        let sent = self
            .client
            .send_publish(id, topic, payload.as_bytes(), qos, false, dup, &[]);
        sent.await.unwrap();
    }

    /// Comes back and sends again what is open, in its order ([MQTT-4.4.0-1], [MQTT-4.6.0-1]).
    async fn come_back(&mut self) {
        self.client = connect(self.broker, self.version, "publisher").await;
        for (id, number, released) in self.open.clone() {
            if released {
                self.client.ack(6, id).await.unwrap();
            } else {
                self.send(id, number, true).await;
            }
        }
    }

    async fn answer(&mut self, packet: Packet) {
        match packet {
            // A PUBREL that came twice is of nothing known the second time.
            Packet::Ack(4, id, 0) | Packet::Ack(7, id, 0 | 0x92) => {
                self.open.retain(|(open, ..)| *open != id);
            }
            Packet::Ack(5, id, 0) => {
                let open = self.open.iter_mut().find(|(open, ..)| *open == id);
                open.expect("a PUBREC for what is open").2 = true;
                self.client.ack(6, id).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    async fn publish_all(&mut self, mut fate: Fate) {
        let mut next = 0;
        while next < MESSAGES || !self.open.is_empty() {
            match fate.next() {
                0 => self.come_back().await,
                _ if next < MESSAGES && self.open.len() < WINDOW => {
                    let id = u16::try_from(next + 1).unwrap();
                    self.open.push_back((id, next, false));
                    self.send(id, next, false).await;
                    next += 1;
                }
                fate => {
                    let packet = self.client.next().await.unwrap();
                    if fate == 1 {
                        // Lost on its way.
                        self.come_back().await;
                    } else {
                        self.answer(packet).await;
                    }
                }
            }
        }
    }
}

struct Subscriber<'a> {
    broker: &'a TestBroker,
    version: Version,
    client: RawClient,
    /// Received at QoS 2 and not yet released.
    unreleased: HashSet<u16>,
    /// Every number that was handed on, by topic.
    received: HashMap<String, Vec<usize>>,
}

impl Subscriber<'_> {
    async fn come_back(&mut self) {
        self.client = connect(self.broker, self.version, "subscriber").await;
    }

    /// Takes what the packet brings; gives the answer that is due.
    fn take(&mut self, packet: &Packet) -> (u8, u16) {
        match packet {
            Packet::Publish(publish) => {
                let new = publish.qos == 1 || self.unreleased.insert(publish.id);
                if new {
                    let number = std::str::from_utf8(&publish.payload).unwrap().parse();
                    let of_topic = self.received.entry(publish.topic.clone()).or_default();
                    of_topic.push(number.unwrap());
                }
                (if publish.qos == 1 { 4 } else { 5 }, publish.id)
            }
            Packet::Ack(6, id, _) => {
                self.unreleased.remove(id);
                (7, *id)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn handle(&mut self, packet: Packet, fate: u8) {
        if fate == 0 {
            // Lost on its way.
            self.come_back().await;
            return;
        }
        let (kind, id) = self.take(&packet);
        if fate == 1 {
            // Taken, and the answer lost.
            self.come_back().await;
            return;
        }
        self.client.ack(kind, id).await.unwrap();
        if fate == 2 {
            self.come_back().await;
        }
    }

    fn has_all(&self) -> bool {
        let seen: HashSet<usize> = self.received.values().flatten().copied().collect();
        seen.len() == MESSAGES
    }

    async fn receive_all(&mut self, mut fate: Fate) {
        while !self.has_all() {
            let packet = self.client.next().await.unwrap();
            let fate = fate.next();
            self.handle(packet, fate).await;
        }
    }

    /// Nothing more comes, not even on another connection, once all is acknowledged.
    async fn settle(&mut self) {
        for _ in 0..2 {
            self.come_back().await;
            loop {
                // The first PINGRESP may overtake what was queued just before it.
                self.client.ping().await.unwrap();
                self.client.ping().await.unwrap();
                if self.client.unasked().next().is_none() {
                    break;
                }
                let packet = self.client.next().await.unwrap();
                self.handle(packet, u8::MAX).await;
            }
        }
    }
}

async fn delivered(version: Version, qos: u8, sends: Vec<u8>, receives: Vec<u8>) {
    let broker = broker().await;
    let mut subscriber = Subscriber {
        client: connect(&broker, version, "subscriber").await,
        broker: &broker,
        version,
        unreleased: HashSet::new(),
        received: HashMap::new(),
    };
    subscriber.client.subscribe(&[("+", 2)]).await.unwrap();
    let mut publisher = Publisher {
        client: connect(&broker, version, "publisher").await,
        broker: &broker,
        version,
        qos,
        open: VecDeque::new(),
    };
    tokio::join!(
        publisher.publish_all(Fate(sends.into())),
        subscriber.receive_all(Fate(receives.into())),
    );
    subscriber.settle().await;
    for (topic, name) in TOPICS.iter().enumerate() {
        let mut received = subscriber.received.remove(*name).unwrap();
        if qos == 1 {
            // Those that came again are left out: what counts is when each came first.
            let mut seen = HashSet::new();
            received.retain(|number| seen.insert(*number));
        }
        let sent: Vec<usize> = (topic..MESSAGES).step_by(TOPICS.len()).collect();
        assert_eq!(received, sent, "{name} at QoS {qos}");
    }
    broker.stop().await;
}

#[test]
fn hold_however_often_both_sides_reconnect() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let version = prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)];
    let strategy = (
        version,
        1..=2_u8,
        vec(any::<u8>(), 0..80),
        vec(any::<u8>(), 0..80),
    );
    let config = Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&strategy, |(version, qos, sends, receives)| {
        runtime.block_on(delivered(version, qos, sends, receives));
        Ok(())
    });
    run.unwrap();
}
