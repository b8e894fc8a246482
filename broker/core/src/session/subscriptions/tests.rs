use partyline_plugin::protocol::{AppKey, ClientId, TopicLimits, TopicName};
use partyline_plugin::{Clock, DeviceKey, Message, Origin, Owner, Qos};

use super::*;
use crate::config::LimitsConfig;
use crate::router::AppSpace;
use crate::session::Commands;
use crate::store::Journal;

/// What is still owed is sent as the subscription says now, as later messages are.
#[tokio::test]
async fn retained_messages_follow_the_options_of_the_last_subscribe() {
    let app = AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    let journal = Arc::new(Journal::new(Clock::default()));
    let space = Arc::new(AppSpace::new(
        app.clone(),
        &LimitsConfig::default(),
        journal,
    ));
    let topic = TopicName::parse("a/b", &TopicLimits::MQTT).unwrap();
    let mut message = Message::new(topic, "x", Origin::Client);
    message.qos = Qos::ExactlyOnce;
    message.retain = true;
    space.retain(message).unwrap();
    let key = DeviceKey {
        app,
        owner: Owner::Device,
        client_id: ClientId::parse("one").unwrap(),
    };
    let commands = Arc::new(Commands::default());
    let session = Arc::new(Session::new(key, None, Arc::clone(&space), commands));
    let filter = TopicFilter::parse("a/#", &TopicLimits::MQTT).unwrap();
    let options = |byte, id| SubscribeOptions {
        subscription_id: std::num::NonZeroU32::new(id),
        ..SubscribeOptions::from_byte(byte).unwrap()
    };
    let mut state = session.state();
    session.subscribe(&mut state, filter.clone(), options(2, 1));
    // At QoS 1, with another identifier, and no retained messages for it anew.
    session.subscribe(&mut state, filter, options(0b10_0001, 2));
    let State { owed, outbound, .. } = &mut *state;
    owed.advance(&space.retained, outbound, |_| true);
    assert_eq!(outbound.take_routed(), [(Qos::AtLeastOnce, vec![2], None)]);
}
