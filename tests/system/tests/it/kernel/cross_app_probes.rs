//! Whatever a client of one app sends, its answers do not depend on what there is in another app,
//! and nobody there notices.

use partyline_system_tests::OTHER_APP;
use partyline_testkit::{ConnectOptions, Packet, RawClient, TestBroker, Version};

use super::{VERSIONS, broker, kept, property};

/// What the other app is full of, and what its intruder guesses.
const ID: &str = "phone";
const TOPIC: &str = "private/room";

/// Filters that could show something of another app, if any could.
const FILTERS: [&str; 14] = [
    "#",
    "+/#",
    "+/+",
    TOPIC,
    "private/#",
    "bbbbbbbbbbbbbbbbbbbbbbbb/#",
    "bbbbbbbbbbbbbbbbbbbbbbbb/private/room",
    "/bbbbbbbbbbbbbbbbbbbbbbbb/#",
    "../bbbbbbbbbbbbbbbbbbbbbbbb/#",
    "$share/group/#",
    "$share/group/private/room",
    "$SYS/#",
    "$bbbbbbbbbbbbbbbbbbbbbbbb/#",
    "$im/inbox",
];

/// Topics that could reach it.
const TOPICS: [&str; 6] = [
    TOPIC,
    "will/of/phone",
    "bbbbbbbbbbbbbbbbbbbbbbbb/private/room",
    "../bbbbbbbbbbbbbbbbbbbbbbbb/private/room",
    "answers/phone",
    "private",
];

fn of_other_app(options: ConnectOptions) -> ConnectOptions {
    options.login(OTHER_APP, "x")
}

/// Everything that an app can have: a session that waits, one that listens, retained messages, a
/// shared group, a will.
struct Victims {
    listener: RawClient,
    sharer: RawClient,
}

impl Victims {
    async fn move_in(broker: &TestBroker) -> Self {
        let waiting = of_other_app(kept(Version::V5, ID));
        let mut waiting = broker.client(waiting).await.unwrap();
        waiting.subscribe(&[("#", 2)]).await.unwrap();
        waiting.disconnect(0).await.unwrap();
        let listener = of_other_app(kept(Version::V5, "listener"));
        let listener = listener.will("will/of/listener", b"gone", 1, true);
        let mut listener = broker.client(listener).await.unwrap();
        listener.subscribe(&[("#", 1)]).await.unwrap();
        let sharer = of_other_app(ConnectOptions::new(Version::V5, "sharer"));
        let mut sharer = broker.client(sharer).await.unwrap();
        sharer.subscribe(&[("$share/group/#", 1)]).await.unwrap();
        for topic in TOPICS {
            listener.publish_done(topic, "kept", 1, true).await.unwrap();
            listener.take(topic).await.unwrap();
            sharer.take(topic).await.unwrap();
        }
        Self { listener, sharer }
    }

    /// What they do while they are probed.
    async fn live(&mut self) {
        for topic in TOPICS {
            self.listener
                .publish_done(topic, "live", 2, false)
                .await
                .unwrap();
            self.listener.take(topic).await.unwrap();
            self.sharer.take(topic).await.unwrap();
        }
    }

    async fn noticed_nothing(&mut self) {
        self.listener.quiet().await.unwrap();
        self.sharer.quiet().await.unwrap();
    }
}

/// What the intruder was told. Packet ids of the broker begin at random.
#[derive(Debug, Default, PartialEq, Eq)]
struct Transcript(Vec<Packet>);

impl Transcript {
    fn hear(&mut self, mut packet: Packet) {
        if let Packet::Publish(publish) = &mut packet {
            publish.id = publish.id.min(1);
        }
        self.0.push(packet);
    }

    /// Everything up to the answer of two pings: the first may overtake what was queued before it.
    async fn listen(&mut self, client: &mut RawClient) {
        client.ping().await.unwrap();
        client.ping().await.unwrap();
        while client.unasked().next().is_some() {
            let packet = client.next().await.unwrap();
            if let Packet::Publish(publish) = &packet {
                client.acknowledge(publish).await.unwrap();
            }
            self.hear(packet);
        }
    }
}

/// Probes from the app of those who name none.
async fn probe(
    broker: &TestBroker,
    version: Version,
    mut victims: Option<&mut Victims>,
) -> Transcript {
    let mut told = Transcript::default();
    // Another's client id, with and without a wish to take the session up.
    for options in [kept(version, ID), ConnectOptions::new(version, "listener")] {
        let (mut intruder, connack) = super::connect(broker, &options).await;
        assert!(!connack.session_present);
        told.hear(Packet::ConnAck(connack));
        told.listen(&mut intruder).await;
        for filter in FILTERS {
            let codes = intruder.subscribe(&[(filter, 1)]).await;
            told.hear(Packet::SubAck(0, codes.unwrap()));
            told.listen(&mut intruder).await;
        }
        if let Some(victims) = &mut victims {
            victims.live().await;
        }
        told.listen(&mut intruder).await;
        for (id, topic) in (1000..).zip(TOPICS) {
            let properties = [
                (
                    property::RESPONSE_TOPIC,
                    b"\x00\x0danswers/phone".to_vec().into(),
                ),
                (property::CORRELATION_DATA, b"\x00\x01c".to_vec().into()),
            ];
            let sent = intruder.send_publish(id, topic, b"mine", 1, true, false, &properties);
            sent.await.unwrap();
            told.hear(Packet::Ack(4, 0, intruder.acked(4, id).await.unwrap()));
            told.listen(&mut intruder).await;
            // Takes its own away again.
            let id = intruder.publish(topic, "", 1, true).await.unwrap();
            told.hear(Packet::Ack(4, 0, intruder.acked(4, id).await.unwrap()));
            told.listen(&mut intruder).await;
        }
        // Acknowledgements for what was sent to others.
        for id in 1..100 {
            for kind in [4, 5, 6, 7] {
                intruder.ack(kind, id).await.unwrap();
            }
            if id % 16 == 0 {
                told.listen(&mut intruder).await;
            }
        }
        told.listen(&mut intruder).await;
        let codes = intruder.unsubscribe(&FILTERS).await.unwrap();
        told.hear(Packet::UnsubAck(0, codes));
        for topic in [
            "$SYS/x",
            "$im/message/send",
            "$bbbbbbbbbbbbbbbbbbbbbbbb/x",
            "$share/g/x",
        ] {
            let id = intruder.publish(topic, "{}", 1, false).await.unwrap();
            let answer = intruder.next().await.unwrap();
            assert!(!matches!(answer, Packet::Ack(_, of, _) if of != id));
            let end = matches!(answer, Packet::Disconnect(..) | Packet::Closed);
            told.hear(answer);
            if end {
                break;
            }
        }
        drop(intruder);
    }
    told
}

#[tokio::test]
async fn answers_do_not_depend_on_another_app() {
    for version in VERSIONS {
        let (empty, full) = (broker().await, broker().await);
        let mut victims = Victims::move_in(&full).await;
        let alone = probe(&empty, version, None).await;
        let beside = probe(&full, version, Some(&mut victims)).await;
        assert_eq!(alone, beside, "{version:?}");
        assert!(alone.0.len() > 100, "the probes were answered");
        victims.noticed_nothing().await;

        // The session that waits has what its own app sent, and nothing else.
        let waiting = of_other_app(kept(Version::V5, ID));
        let (mut waiting, connack) = super::connect(&full, &waiting).await;
        assert!(connack.session_present);
        let mut heard = Transcript::default();
        heard.listen(&mut waiting).await;
        for packet in &heard.0 {
            if let Packet::Publish(publish) = packet {
                assert!(
                    publish.payload == "kept" || publish.payload == "live",
                    "{publish:?}"
                );
            }
        }
        assert_eq!(heard.0.len(), 3 * TOPICS.len(), "{:?}", heard.0);
        empty.stop().await;
        full.stop().await;
    }
}

#[tokio::test]
async fn a_flood_in_one_app_leaves_the_other_its_turn() {
    let broker = broker().await;
    let mut victims = Victims::move_in(&broker).await;
    let flood = "x".repeat(1000);
    let mut flooders = Vec::new();
    for number in 0..8 {
        let options = ConnectOptions::new(Version::V311, format!("flooder-{number}"));
        let mut flooder = broker.client(options).await.unwrap();
        flooder.subscribe(&[("flood/#", 1)]).await.unwrap();
        flooders.push(flooder);
    }
    // None of them reads: their queues are full, and their sockets.
    let flooding = async {
        for round in 0..200 {
            for flooder in &mut flooders {
                let sent = flooder
                    .publish(&format!("flood/{round}"), &flood, 0, false)
                    .await;
                sent.unwrap();
            }
        }
    };
    let living = async {
        for _ in 0..5 {
            victims.live().await;
        }
    };
    tokio::join!(flooding, living);
    victims.noticed_nothing().await;
    broker.stop().await;
}
