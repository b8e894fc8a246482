//! Every sentence of the wire contract's rules, as the broker is told.

use partyline_plugin::{DeviceKey, Owner, Principal, ProtocolVersion, SessionId, UserLogin};
use partyline_protocol::{Class, ClientId, TopicFilter, TopicLimits, TopicName, Username};

use super::*;
use crate::AclConfig;

const APP: &str = "0123456789abcdef01234567";
const OTHER_APP: &str = "76543210fedcba9876543210";

fn rules(rules: &str) -> Rules {
    let config: AclConfig = toml::from_str(&format!("rules = [{rules}]")).unwrap();
    Rules::new(config.rules).unwrap()
}

fn acl(operator: &str) -> Rulebook {
    Rulebook::new(rules(operator))
}

fn session(role: Role, app: &str, client_id: &str, user: Option<&str>) -> SessionInfo {
    let device = DeviceKey {
        app: AppKey::parse(app).unwrap(),
        owner: Owner::Device,
        client_id: ClientId::parse(client_id).unwrap(),
    };
    let user = user.map(|name| UserLogin {
        username: Username::parse(name).unwrap(),
        class: Class::Other,
    });
    let principal = Principal {
        role,
        registration: None,
        user,
    };
    let peer = ([127, 0, 0, 1], 1).into();
    SessionInfo::new(
        SessionId::new(1),
        device,
        principal,
        ProtocolVersion::V311,
        peer,
        None,
    )
}

fn device(client_id: &str) -> SessionInfo {
    session(Role::Device, APP, client_id, None)
}

fn user(name: &str) -> SessionInfo {
    session(Role::Device, APP, "phone", Some(name))
}

fn publish(acl: &Rulebook, session: &SessionInfo, topic: &str) -> AccessVerdict {
    let topic = TopicName::parse(topic, &TopicLimits::MQTT).unwrap();
    acl.verdict(session, Access::Publish(&topic))
}

fn subscribe(acl: &Rulebook, session: &SessionInfo, filter: &str) -> AccessVerdict {
    let filter = TopicFilter::parse(filter, &TopicLimits::MQTT).unwrap();
    acl.verdict(session, Access::Subscribe(&filter))
}

const ALLOW: AccessVerdict = AccessVerdict::Allow;
const DENY: AccessVerdict = AccessVerdict::Deny(Reason::NotAuthorized);
const NEXT: AccessVerdict = AccessVerdict::Next;

#[test]
fn without_a_rule_only_servers_and_anonymous_clients_may() {
    let acl = acl("");
    for (session, want) in [
        (device("d"), NEXT),
        (user("anna"), NEXT),
        (session(Role::Anonymous, APP, "a", None), ALLOW),
        (session(Role::Server, APP, "s", None), ALLOW),
    ] {
        assert_eq!(publish(&acl, &session, "a/b"), want, "{session:?}");
        assert_eq!(subscribe(&acl, &session, "a/#"), want, "{session:?}");
    }
}

#[test]
fn rules_bind_anonymous_clients_and_never_servers() {
    let acl = acl(r##"{ effect = "deny", action = "all", topic = "#" }"##);
    for (role, want) in [
        (Role::Anonymous, DENY),
        (Role::Device, DENY),
        (Role::Server, ALLOW),
    ] {
        let session = session(role, APP, "c", None);
        assert_eq!(publish(&acl, &session, "a"), want, "{role:?}");
        assert_eq!(subscribe(&acl, &session, "#"), want, "{role:?}");
    }
}

#[test]
fn the_first_match_wins() {
    let acl = acl(r##"
        { effect = "allow", action = "all", topic = "a/open" },
        { effect = "deny", action = "all", topic = "a/+" },
        { effect = "allow", action = "all", topic = "#" }"##);
    let device = device("d");
    for (topic, want) in [
        ("a/open", ALLOW),
        ("a/x", DENY),
        ("a/x/y", ALLOW),
        ("b", ALLOW),
    ] {
        assert_eq!(publish(&acl, &device, topic), want, "{topic}");
        assert_eq!(subscribe(&acl, &device, topic), want, "{topic}");
    }
}

#[test]
fn an_action_is_only_itself() {
    let acl = acl(r#"
        { effect = "allow", action = "publish", topic = "up" },
        { effect = "allow", action = "subscribe", topic = "down" },
        { effect = "allow", action = "all", topic = "both" }"#);
    let device = device("d");
    for (topic, up, down) in [
        ("up", ALLOW, NEXT),
        ("down", NEXT, ALLOW),
        ("both", ALLOW, ALLOW),
    ] {
        assert_eq!(publish(&acl, &device, topic), up, "{topic}");
        assert_eq!(subscribe(&acl, &device, topic), down, "{topic}");
    }
}

#[test]
fn an_allow_must_cover_the_whole_filter() {
    let acl = acl(r#"{ effect = "allow", action = "subscribe", topic = "a/+/c" }"#);
    let cases = [
        ("a/b/c", ALLOW),
        ("a/+/c", ALLOW),
        ("a/#", NEXT),
        ("a/b/+", NEXT),
        ("#", NEXT),
        ("+/b/c", NEXT),
    ];
    for (filter, want) in cases {
        assert_eq!(subscribe(&acl, &device("d"), filter), want, "{filter}");
    }
}

#[test]
fn a_deny_matches_what_overlaps() {
    let acl = acl(r##"
        { effect = "deny", action = "subscribe", topic = "a/secret/#" },
        { effect = "allow", action = "all", topic = "#" }"##);
    for (filter, want) in [
        ("a/secret", DENY),
        ("a/secret/x", DENY),
        ("a/+", DENY),
        ("a/#", DENY),
        ("#", DENY),
        ("+/+/x", DENY),
        ("a", ALLOW),
        ("b/#", ALLOW),
        ("+", ALLOW),
    ] {
        assert_eq!(subscribe(&acl, &device("d"), filter), want, "{filter}");
    }
    assert_eq!(
        publish(&acl, &device("d"), "a/secret"),
        ALLOW,
        "about subscribing only"
    );
}

#[test]
fn placeholders_name_the_session() {
    let acl = acl(r#"{ effect = "allow", action = "all", topic = "%a/%u/%c/+" }"#);
    let mine = format!("{APP}/anna/phone/x");
    assert_eq!(publish(&acl, &user("anna"), &mine), ALLOW);
    assert_eq!(
        subscribe(&acl, &user("anna"), &format!("{APP}/anna/phone/+")),
        ALLOW
    );
    assert_eq!(publish(&acl, &user("bert"), &mine), NEXT);
    assert_eq!(
        publish(&acl, &device("phone"), &mine),
        NEXT,
        "nobody is logged in"
    );
    let elsewhere = session(Role::Device, OTHER_APP, "phone", Some("anna"));
    assert_eq!(publish(&acl, &elsewhere, &mine), NEXT);
}

#[test]
fn an_unfit_value_never_allows() {
    let acl = acl(r#"{ effect = "allow", action = "all", topic = "dev/%c" }"#);
    assert_eq!(publish(&acl, &device("d1"), "dev/d1"), ALLOW);
    for client_id in ["+", "#", "d1/x", "d+", "d#"] {
        for topic in ["dev/d1", "dev/d1/x"] {
            assert_eq!(
                publish(&acl, &device(client_id), topic),
                NEXT,
                "{client_id}"
            );
        }
        for filter in ["dev/+", "dev/#", "dev/d1", "dev/d1/x"] {
            assert_eq!(
                subscribe(&acl, &device(client_id), filter),
                NEXT,
                "{client_id}"
            );
        }
    }
}

#[test]
fn an_unfit_value_denies_as_a_plus() {
    let acl = acl(r##"
        { effect = "deny", action = "all", topic = "dev/%u" },
        { effect = "deny", action = "all", topic = "box/%c" },
        { effect = "allow", action = "all", topic = "#" }"##);
    assert_eq!(publish(&acl, &user("anna"), "dev/anna"), DENY);
    assert_eq!(publish(&acl, &user("anna"), "dev/bert"), ALLOW);
    assert_eq!(
        publish(&acl, &device("d"), "dev/bert"),
        DENY,
        "no user is empty"
    );
    assert_eq!(publish(&acl, &device("a/b"), "box/c"), DENY);
    assert_eq!(subscribe(&acl, &device("a/b"), "box/+"), DENY);
    assert_eq!(publish(&acl, &user("anna"), "box/c"), ALLOW);
}

#[test]
fn app_and_user_narrow_a_rule() {
    let acl = acl(&format!(
        r#"{{ effect = "allow", action = "all", topic = "a", app = "{APP}", user = "anna" }},
           {{ effect = "allow", action = "all", topic = "b", app = "{APP}", user = "" }}"#
    ));
    let elsewhere = session(Role::Device, OTHER_APP, "phone", Some("anna"));
    for (session, a, b) in [
        (user("anna"), ALLOW, ALLOW),
        (user("bert"), NEXT, ALLOW),
        (device("phone"), NEXT, ALLOW),
        (elsewhere, NEXT, NEXT),
    ] {
        assert_eq!(publish(&acl, &session, "a"), a, "{session:?}");
        assert_eq!(publish(&acl, &session, "b"), b, "{session:?}");
    }
}

#[test]
fn topics_under_dollar_are_left_to_their_plugins() {
    let acl = acl(r##"{ effect = "allow", action = "all", topic = "#" }"##);
    let server = session(Role::Server, APP, "s", None);
    for session in [device("d"), server] {
        assert_eq!(publish(&acl, &session, "$im/message/send"), NEXT);
        assert_eq!(subscribe(&acl, &session, "$im/inbox"), NEXT);
    }
}

#[test]
fn an_app_rules_itself_and_no_other() {
    let acl = acl("");
    let open = rules(r##"{ effect = "allow", action = "all", topic = "#" }"##);
    acl.set_apps([(AppKey::parse(APP).unwrap(), open)]);
    let elsewhere = session(Role::Device, OTHER_APP, "d", None);
    assert_eq!(publish(&acl, &device("d"), "a"), ALLOW);
    assert_eq!(publish(&acl, &elsewhere, "a"), NEXT);
    acl.set_apps([(AppKey::parse(APP).unwrap(), Rules::default())]);
    assert_eq!(publish(&acl, &device("d"), "a"), NEXT);
}

#[test]
fn what_the_operator_decides_no_app_changes() {
    let acl = acl(r#"
        { effect = "deny", action = "all", topic = "secret/#" },
        { effect = "allow", action = "publish", topic = "up" }"#);
    let of_app = rules(
        r##"
        { effect = "deny", action = "all", topic = "up" },
        { effect = "allow", action = "all", topic = "#" }"##,
    );
    acl.set_apps([(AppKey::parse(APP).unwrap(), of_app)]);
    let device = device("d");
    for (topic, up, down) in [
        ("secret/x", DENY, DENY),
        ("up", ALLOW, DENY),
        ("other", ALLOW, ALLOW),
    ] {
        assert_eq!(publish(&acl, &device, topic), up, "{topic}");
        assert_eq!(subscribe(&acl, &device, topic), down, "{topic}");
    }
    assert_eq!(subscribe(&acl, &device, "#"), DENY, "it would show secrets");
}

#[test]
fn rules_that_cannot_be_read_close_the_app() {
    let acl = acl(r#"{ effect = "allow", action = "all", topic = "a" }"#);
    acl.set_apps([(AppKey::parse(APP).unwrap(), Rules::closed())]);
    for session in [device("d"), session(Role::Anonymous, APP, "a", None)] {
        assert_eq!(publish(&acl, &session, "a"), ALLOW, "the operator's");
        assert_eq!(publish(&acl, &session, "b"), DENY);
    }
}
