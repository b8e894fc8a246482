use std::time::Duration;

use partyline_plugin::protocol::{Class, ClientId, TopicFilter, TopicLimits, TopicName};
use partyline_plugin::{Clock, Message, Origin, Owner, Principal, ProtocolVersion, Role};

use super::*;
use crate::config::LimitsConfig;
use crate::packet::SubscribeOptions;
use crate::store::Journal;

fn attachment(id: u64) -> Arc<Attachment> {
    let user = UserLogin {
        username: Username::parse("alice").unwrap(),
        class: Class::Other,
    };
    let device = DeviceKey {
        app: AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap(),
        owner: Owner::Device,
        client_id: ClientId::parse("one").unwrap(),
    };
    let principal = Principal {
        role: Role::Device,
        registration: None,
        user: Some(user),
    };
    let (id, peer) = (SessionId::new(id), ([127, 0, 0, 1], 1).into());
    let info = SessionInfo::new(id, device, principal, ProtocolVersion::V5, peer, None);
    Arc::new(Attachment::new(info, 60, 0))
}

/// Two connections of one device at the same time: the one that was taken over must not be found.
#[test]
fn a_takeover_leaves_no_connection_behind() {
    let registry = Registry::default();
    let app = attachment(0).info().device.app.clone();
    let journal = Arc::new(Journal::new(Clock::default()));
    let space = Arc::new(AppSpace::new(app, &LimitsConfig::default(), journal));
    for round in 0..5000 {
        let both = [attachment(2 * round), attachment(2 * round + 1)];
        std::thread::scope(|scope| {
            for one in &both {
                scope.spawn(|| registry.attach(one, &space, false, 60, None));
            }
        });
        assert_eq!(registry.connections.len(), 1, "round {round}");
        let info = both[0].info();
        assert_eq!(
            registry
                .of_user(info.app(), &Username::parse("alice").unwrap())
                .len(),
            1
        );
    }
}

/// A connection that is refused after it took the session up has changed nothing.
#[tokio::test(start_paused = true)]
async fn a_refused_resume_puts_the_session_back() {
    let registry = Registry::default();
    let app = attachment(0).info().device.app.clone();
    let journal = Arc::new(Journal::new(Clock::default()));
    let limits = LimitsConfig {
        detached_sessions: 1,
        ..LimitsConfig::default()
    };
    let space = Arc::new(AppSpace::new(app, &limits, journal));
    let will = |delay_secs| {
        let topic = TopicName::parse("will", &TopicLimits::MQTT).unwrap();
        let message = Message::new(topic, "gone", Origin::Will);
        Some(WillMessage {
            message,
            delay_secs,
        })
    };
    let first = attachment(1);
    let session = registry
        .attach(&first, &space, false, 600, will(100))
        .session;
    let how = Detach {
        publish_will: true,
        expiry_secs: None,
        reason: CloseReason::Ended(Reason::UnspecifiedError),
    };
    assert!(registry.detach(&session, first.id, &how, 600).is_none());
    tokio::time::advance(Duration::from_secs(50)).await;
    let second = attachment(2);
    let attached = registry.attach(&second, &space, false, 5, will(1));
    let previous = attached.previous.expect("the session was there");
    assert!(previous.waits());
    assert!(registry.put_back(&session, second.id, previous).is_none());
    {
        let state = session.state();
        let time = state.detached_for(Instant::now());
        assert_eq!(time, Some(Duration::from_secs(50)), "it goes on");
        assert_eq!(state.expiry_secs, 600);
        assert!(state.place.is_some(), "it was not given away");
        assert_eq!(state.will.as_ref().map(|will| will.delay_secs), Some(100));
    }
    assert!(registry.connection(second.id).is_none());
    tokio::time::advance(Duration::from_secs(50)).await;
    assert_eq!(
        registry.sweep(Instant::now(), 0).len(),
        1,
        "the will is due"
    );
    assert!(registry.settle(&session, Instant::now()).is_some());
}

/// Who took over and is refused leaves the session to the last one who had it: the next look at its
/// subscriptions must know whose they are. Where no place is left to wait in, the session ends.
#[tokio::test(start_paused = true)]
async fn a_refused_takeover_leaves_the_session_to_its_last_client() {
    for places in [1, 0] {
        let registry = Registry::default();
        let app = attachment(0).info().device.app.clone();
        let journal = Arc::new(Journal::new(Clock::default()));
        let limits = LimitsConfig {
            detached_sessions: places,
            ..LimitsConfig::default()
        };
        let space = Arc::new(AppSpace::new(app, &limits, journal));
        let first = attachment(1);
        let session = registry.attach(&first, &space, false, 600, None).session;
        let second = attachment(2);
        let attached = registry.attach(&second, &space, false, 600, None);
        let previous = attached.previous.expect("the session was there");
        assert!(registry.put_back(&session, second.id, previous).is_none());
        let (whose, ended) = {
            let state = session.state();
            (state.whose().map(|info| info.id), state.ended)
        };
        assert_eq!(whose, Some(first.id));
        assert_eq!(ended, places == 0);
        assert_eq!(registry.sessions(None).len(), places);
    }
}

/// Taking an old session's many subscriptions out of the router holds up nobody else.
#[test]
fn an_old_session_is_closed_outside_of_the_index() {
    let registry = Registry::default();
    let app = attachment(0).info().device.app.clone();
    let journal = Arc::new(Journal::new(Clock::default()));
    let space = Arc::new(AppSpace::new(app, &LimitsConfig::default(), journal));
    let first = attachment(1);
    let old = registry.attach(&first, &space, false, 60, None).session;
    let filter = TopicFilter::parse("a/#", &TopicLimits::MQTT).unwrap();
    let options = SubscribeOptions::from_byte(1).unwrap();
    old.state().subscriptions.insert(filter.clone(), options);
    space.subscribe(&filter, &old, options);
    std::thread::scope(|scope| {
        let held = space.hold_router();
        let second = scope.spawn(|| registry.attach(&attachment(2), &space, true, 60, None));
        // The new session is found although the old one still waits for the router.
        let device = first.info().device.clone();
        while registry
            .of_device(&device)
            .is_none_or(|attachment| attachment.id != SessionId::new(2))
        {
            std::thread::yield_now();
        }
        assert!(!second.is_finished());
        drop(held);
        assert!(second.join().unwrap().previous.is_none());
    });
}
