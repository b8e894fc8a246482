use std::time::Duration;

use partyline_plugin::protocol::{AppKey, ClientId, TopicLimits, TopicName};
use partyline_plugin::{Clock, DeviceKey, Message, MessageProperties, Origin, Owner};

use super::*;
use crate::packet::SubscribeOptions;
use crate::router::AppSpace;
use crate::session::Commands;
use crate::store::Journal;

/// A group of sessions without a connection.
struct World {
    space: Arc<AppSpace>,
    limits: LimitsConfig,
    members: Vec<Arc<Session>>,
}

fn world(members: u8) -> World {
    let limits = LimitsConfig {
        queued_messages: 2,
        ..LimitsConfig::default()
    };
    let app = AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    let journal = Arc::new(Journal::new(Clock::default()));
    let space = Arc::new(AppSpace::new(app.clone(), &limits, journal));
    let filter = TopicFilter::parse("$share/g/t", &TopicLimits::MQTT).unwrap();
    let options = SubscribeOptions::from_byte(1).unwrap();
    let members = (0..members).map(|number| {
        let key = DeviceKey {
            app: app.clone(),
            owner: Owner::Device,
            client_id: ClientId::parse(format!("member-{number}")).unwrap(),
        };
        let commands = Arc::new(Commands::default());
        let session = Arc::new(Session::new(key, None, Arc::clone(&space), commands));
        space.subscribe(&filter, &session, options);
        session
    });
    let members = members.collect();
    World {
        space,
        limits,
        members,
    }
}

fn message(qos: Qos, expiry_secs: Option<u32>) -> Message {
    let topic = TopicName::parse("t", &TopicLimits::MQTT).unwrap();
    let mut message = Message::new(topic, "x", Origin::Client);
    message.qos = qos;
    if let Some(secs) = expiry_secs {
        let mut properties = MessageProperties::default();
        properties.expiry_secs = Some(secs);
        message.properties = Some(Box::new(properties));
    }
    message
}

impl World {
    /// Fills the queue of one member.
    fn fill(&self, at: usize, qos: Qos, expiry_secs: Option<u32>) {
        let publication = Arc::new(Publication::new(message(qos, expiry_secs)));
        for _ in 0..2 {
            let outbound = &mut self.members[at].state().outbound;
            let _ = outbound.route(&self.limits, &publication, qos, false, None);
        }
    }

    fn publish(&self) {
        let message = message(Qos::AtLeastOnce, None);
        self.space.publish(&self.limits, message, None).unwrap();
    }

    /// What waits at one member, above QoS 0.
    fn assured(&self, at: usize) -> usize {
        let taken = self.members[at].state().outbound.take_routed();
        let assured = taken.iter().filter(|(qos, ..)| *qos == Qos::AtLeastOnce);
        assured.count()
    }

    fn dropped(&self, at: usize) -> u32 {
        self.members[at].state().outbound.dropped()
    }
}

/// Where somebody can take a message by dropping QoS 0 only, nobody drops the message.
#[tokio::test]
async fn a_message_is_not_dropped_at_one_where_another_has_less_to_lose() {
    for indulgent in 0..3 {
        let world = world(3);
        for at in 0..3 {
            let indulges = at == indulgent;
            world.fill(
                at,
                if indulges {
                    Qos::AtMostOnce
                } else {
                    Qos::AtLeastOnce
                },
                None,
            );
        }
        world.publish();
        for at in 0..3 {
            let dropped = u32::from(at == indulgent);
            assert_eq!(world.dropped(at), dropped, "{at} of {indulgent}");
        }
        assert_eq!(world.assured(indulgent), 1);
    }
}

/// What has expired takes nobody's room.
#[tokio::test(start_paused = true)]
async fn who_has_only_expired_messages_has_room() {
    let world = world(2);
    world.fill(0, Qos::AtLeastOnce, None);
    world.fill(1, Qos::AtLeastOnce, Some(10));
    tokio::time::advance(Duration::from_secs(11)).await;
    world.publish();
    assert_eq!((world.dropped(0), world.dropped(1)), (0, 0));
    assert_eq!(world.assured(1), 1);
}

/// A message that nobody has room for is dropped once, and not at the same member every time.
#[tokio::test]
async fn a_message_is_dropped_once() {
    let world = world(3);
    for at in 0..3 {
        world.fill(at, Qos::AtLeastOnce, None);
    }
    for _ in 0..100 {
        world.publish();
    }
    let dropped: Vec<u32> = (0..3).map(|at| world.dropped(at)).collect();
    assert_eq!(dropped.iter().sum::<u32>(), 100);
    assert!(dropped.iter().all(|dropped| *dropped > 0), "{dropped:?}");
}

/// Each of a large group that is away gets its share.
#[tokio::test]
async fn those_without_a_connection_take_turns() {
    let world = world(20);
    for _ in 0..20 {
        world.publish();
    }
    for at in 0..20 {
        assert_eq!(world.assured(at), 1, "member {at}");
    }
}
