use partyline_plugin::{DeviceKey, Owner, Principal, ProtocolVersion, Role, SessionId};
use partyline_protocol::{ClientId, TopicLimits};
use proptest::prelude::*;

use super::model::{ModelRule, all_topics};
use super::*;

fn session(client_id: &str) -> SessionInfo {
    let device = DeviceKey {
        app: AppKey::parse("0123456789abcdef01234567").unwrap(),
        owner: Owner::Device,
        client_id: ClientId::parse(client_id).unwrap(),
    };
    let principal = Principal {
        role: Role::Device,
        registration: None,
        user: None,
    };
    let peer = ([127, 0, 0, 1], 1).into();
    SessionInfo::new(
        SessionId::new(1),
        device,
        principal,
        ProtocolVersion::V5,
        peer,
        None,
    )
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![Just(Effect::Allow), Just(Effect::Deny)]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Publish),
        Just(Action::Subscribe),
        Just(Action::All)
    ]
}

/// Filters of up to three levels, so that the model's topics of four tell them apart.
fn filter(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    (
        prop::collection::vec(prop::sample::select(words), 0..=3),
        any::<bool>(),
    )
        .prop_map(|(mut levels, open)| {
            if open || levels.is_empty() {
                levels.truncate(2);
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("not empty", |text| !text.is_empty())
}

fn rules(words: &'static [&'static str]) -> impl Strategy<Value = Vec<ModelRule>> {
    let rule = (effect(), action(), filter(words));
    let rule = rule.prop_map(|(effect, action, topic)| ModelRule {
        effect,
        action,
        topic,
    });
    prop::collection::vec(rule, 0..5)
}

fn compile(rules: &[ModelRule]) -> Rules {
    let rules = rules.iter().map(|rule| RuleConfig {
        effect: rule.effect,
        action: rule.action,
        topic: rule.topic.clone(),
        app: None,
        user: None,
    });
    Rules::new(rules).unwrap()
}

/// What the client id puts into the model's rule: a word, or what the contract says of unfit ones.
fn resolve(rules: &[ModelRule], client_id: &str) -> Vec<ModelRule> {
    let fit = !client_id.contains(['/', '+', '#']);
    let rules = rules.iter().filter_map(|rule| {
        let topic = match rule.effect {
            _ if fit => rule.topic.replace("%c", client_id),
            Effect::Deny => rule.topic.replace("%c", "+"),
            Effect::Allow if rule.topic.contains("%c") => return None,
            Effect::Allow => rule.topic.clone(),
        };
        Some(ModelRule {
            topic,
            ..rule.clone()
        })
    });
    rules.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn decisions_agree_with_the_model(
        rules in rules(&["a", "b", "", "+", "%c"]),
        client_id in prop::sample::select(&["a", "b", "+", "#", "a/b", "b+"][..]),
        asked in filter(&["a", "b", "", "+"]),
        topic in prop::sample::select(all_topics()),
    ) {
        let topics = all_topics();
        let (compiled, session) = (compile(&rules), session(client_id));
        let model = resolve(&rules, client_id);

        let name = TopicName::parse(&topic, &TopicLimits::MQTT).unwrap();
        let decided = compiled.decide(&session, Access::Publish(&name));
        prop_assert_eq!(decided, super::model::decide(&model, &topics, true, &topic));

        let filter = TopicFilter::parse(&asked, &TopicLimits::MQTT).unwrap();
        let decided = compiled.decide(&session, Access::Subscribe(&filter));
        prop_assert_eq!(decided, super::model::decide(&model, &topics, false, &asked));
    }

    /// What a granted subscription can show, publishing rules of the same shape would allow too.
    #[test]
    fn a_granted_filter_reaches_no_denied_topic(
        rules in rules(&["a", "b", "", "+"]),
        asked in filter(&["a", "b", "", "+"]),
    ) {
        let all = |rule: ModelRule| ModelRule { action: Action::All, ..rule };
        let rules = compile(&rules.into_iter().map(all).collect::<Vec<_>>());
        let (session, limits) = (session("a"), TopicLimits::MQTT);
        let filter = TopicFilter::parse(&asked, &limits).unwrap();
        if rules.decide(&session, Access::Subscribe(&filter)) == Some(Effect::Allow) {
            for topic in all_topics().iter().filter(|topic| filter.matches(topic)) {
                let name = TopicName::parse(topic, &limits).unwrap();
                let decided = rules.decide(&session, Access::Publish(&name));
                prop_assert_eq!(decided, Some(Effect::Allow), "{}", topic);
            }
        }
    }
}

#[test]
fn a_bad_rule_is_named() {
    let good = ModelRule {
        effect: Effect::Deny,
        action: Action::All,
        topic: "a".to_owned(),
    };
    let rule = |topic: &str| RuleConfig {
        effect: good.effect,
        action: good.action,
        topic: topic.to_owned(),
        app: None,
        user: None,
    };
    let error = Rules::new([rule("a"), rule("b/%z"), rule("c+")]).unwrap_err();
    let text = error.to_string();
    assert_eq!(text, r#"rule 2 with topic "b/%z" is not usable"#);
    assert!(error.source.to_string().contains("%z is no placeholder"));
}
