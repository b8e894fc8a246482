use std::collections::{BTreeMap, BTreeSet};

use partyline_plugin::protocol::{AppKey, ClientId, TopicLimits};
use partyline_plugin::{Clock, DeviceKey, Origin, Owner, RetainHandling};
use proptest::prelude::*;

use super::*;
use crate::session::Commands;

const SESSIONS: usize = 6;

/// What a session is sent: QoS and identifiers, by share.
type Sent = BTreeMap<Option<String>, (Qos, Vec<u32>)>;

/// The rule of MQTT, word for word.
fn matches(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => matches(filter, topic),
        ([level, filter @ ..], [same, topic @ ..]) if level == same => matches(filter, topic),
        _ => false,
    }
}

/// The share and the filter behind it.
fn split(filter: &str) -> (Option<&str>, &str) {
    match filter.strip_prefix("$share/") {
        None => (None, filter),
        Some(rest) => (Some(filter), rest.split_once('/').unwrap().1),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Subscribe(usize, String, Qos, Option<u32>),
    Unsubscribe(usize, String),
    Leave(usize),
    Publish(String, Qos),
}

fn level() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "$c", ""])
}

fn topic() -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(level(), 1..4).prop_map(|levels| levels.join("/"));
    // Those go to no router.
    levels.prop_filter("a topic", |topic| {
        !topic.is_empty() && !topic.starts_with('$')
    })
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 2 => Just("+")];
    let levels = (prop::collection::vec(level, 0..4), any::<bool>());
    let plain = levels.prop_map(|(mut levels, rest)| {
        levels.extend(rest.then_some("#"));
        levels.join("/")
    });
    let plain = plain.prop_filter("a filter", |filter| !filter.is_empty());
    let share = prop::sample::select(vec!["", "", "$share/g/", "$share/h/"]);
    (share, plain).prop_map(|(share, filter)| format!("{share}{filter}"))
}

fn qos() -> impl Strategy<Value = Qos> {
    prop::sample::select(vec![Qos::AtLeastOnce, Qos::ExactlyOnce])
}

fn step() -> impl Strategy<Value = Step> {
    let (session, id) = (0..SESSIONS, prop::option::of(1_u32..4));
    prop_oneof![
        6 => (session.clone(), filter(), qos(), id)
            .prop_map(|(session, filter, qos, id)| Step::Subscribe(session, filter, qos, id)),
        2 => (session.clone(), filter())
            .prop_map(|(session, filter)| Step::Unsubscribe(session, filter)),
        1 => session.prop_map(Step::Leave),
        6 => (topic(), qos()).prop_map(|(topic, qos)| Step::Publish(topic, qos)),
    ]
}

/// The router and what it should do.
struct World {
    space: Arc<AppSpace>,
    limits: LimitsConfig,
    sessions: Vec<Arc<Session>>,
    /// Of each session, by filter.
    expected: Vec<BTreeMap<String, (Qos, Option<u32>)>>,
}

impl World {
    fn new() -> Self {
        let limits = LimitsConfig::default();
        let app = AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let journal = Arc::new(Journal::new(Clock::default()));
        let space = Arc::new(AppSpace::new(app.clone(), &limits, journal));
        let session = |number: usize| {
            let key = DeviceKey {
                app: app.clone(),
                owner: Owner::Device,
                client_id: ClientId::parse(format!("{number}")).unwrap(),
            };
            let commands = Arc::new(Commands::default());
            Arc::new(Session::new(key, None, Arc::clone(&space), commands))
        };
        Self {
            sessions: (0..SESSIONS).map(session).collect(),
            expected: vec![BTreeMap::new(); SESSIONS],
            space,
            limits,
        }
    }

    fn subscribe(&mut self, session: usize, filter: &str, qos: Qos, id: Option<u32>) {
        let options = SubscribeOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Always,
            subscription_id: id.and_then(std::num::NonZeroU32::new),
        };
        self.space
            .subscribe(&parse(filter), &self.sessions[session], options);
        self.expected[session].insert(filter.to_owned(), (qos, id));
    }

    fn unsubscribe(&mut self, session: usize, filter: &str) {
        self.space
            .unsubscribe(&parse(filter), &self.sessions[session]);
        self.expected[session].remove(filter);
    }

    fn publish(&self, topic: &str, qos: Qos) {
        let name = TopicName::parse(topic, &TopicLimits::default()).unwrap();
        let mut message = Message::new(name, "x", Origin::Client);
        message.qos = qos;
        let routed = self.space.publish(&self.limits, message, None);
        // No session is stored.
        assert_eq!(routed.unwrap(), None);
        let sent: Vec<Vec<_>> = self
            .sessions
            .iter()
            .map(|one| one.state().outbound.take_routed())
            .collect();
        let levels: Vec<&str> = topic.split('/').collect();
        let mut groups = BTreeSet::new();
        for (expected, sent) in self.expected.iter().zip(&sent) {
            let mut plain: Option<(Qos, BTreeSet<u32>)> = None;
            for (filter, (asked, id)) in expected {
                let (share, filter) = split(filter);
                let filter: Vec<&str> = filter.split('/').collect();
                if !matches(&filter, &levels) {
                    continue;
                }
                if let Some(share) = share {
                    groups.insert(share.to_owned());
                } else {
                    let (highest, ids) = plain.get_or_insert((*asked, BTreeSet::new()));
                    *highest = (*highest).max(*asked);
                    ids.extend(id);
                }
            }
            let plain = plain.map(|(asked, ids)| (asked.min(qos), Vec::from_iter(ids)));
            let mut by_share = Sent::new();
            for (qos, mut ids, share) in sent.iter().cloned() {
                ids.sort_unstable();
                let again = by_share.insert(share, (qos, ids));
                assert!(again.is_none(), "twice");
            }
            assert_eq!(by_share.remove(&None), plain);
            for (share, (sent_at, ids)) in by_share {
                let (asked, id) = &expected[&share.unwrap()];
                assert_eq!((sent_at, ids), ((*asked).min(qos), Vec::from_iter(*id)));
            }
        }
        let mut taken: Vec<String> = sent.into_iter().flatten().filter_map(|one| one.2).collect();
        taken.sort_unstable();
        // Each group once, and no other.
        assert_eq!(taken, Vec::from_iter(groups));
    }
}

fn parse(filter: &str) -> TopicFilter {
    TopicFilter::parse(filter, &TopicLimits::default()).unwrap()
}

proptest! {
    /// Every plain subscription is served once for its session, and every shared one once at all.
    #[test]
    fn routes_as_a_naive_matcher_would(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Subscribe(session, filter, qos, id) => {
                    world.subscribe(session, &filter, qos, id);
                }
                Step::Unsubscribe(session, filter) => world.unsubscribe(session, &filter),
                Step::Leave(session) => {
                    for filter in std::mem::take(&mut world.expected[session]).into_keys() {
                        world.unsubscribe(session, &filter);
                    }
                }
                Step::Publish(topic, qos) => world.publish(&topic, qos),
            }
        }
        for session in 0..SESSIONS {
            for filter in std::mem::take(&mut world.expected[session]).into_keys() {
                world.unsubscribe(session, &filter);
            }
        }
        // Nothing is left behind.
        prop_assert!(world.space.exact.is_empty());
        prop_assert!(world.space.wildcards.read().is_empty());
        prop_assert_eq!(world.space.wildcard_count.load(Ordering::Relaxed), 0);
        prop_assert!(world.space.shared.is_empty());
    }
}
