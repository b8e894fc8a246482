//! `$session`, and the same in the CONNACK.

use partyline_plugin::host::Broker;
use partyline_plugin::{Audience, AuthVerdict, Qos};
use partyline_protocol::names;

use crate::support::{World, user};

crate::support::database::on_both! {
    the_connack_properties_say_what_the_notice_says,
    subscribing_sends_the_notice_again_with_what_this_connection_was_issued,
    a_logout_takes_user_and_token_out_of_the_notice,
    a_connection_that_never_subscribed_leaves_nothing_to_the_next,
    what_is_issued_to_the_next_connection_is_not_said_on_the_one_before,
    the_topics_are_owned_and_configure_is_delegated,
}

const OWN: &str = "sixteen bytes ok";

async fn the_connack_properties_say_what_the_notice_says() {
    let world = World::new().await;
    let alice = world.user("alice", "phone").await;
    let notice = &alice.notice;
    let expected = [
        ("registration_id", alice.registration().to_string()),
        ("username", "alice".to_owned()),
        ("token", alice.token()),
        ("epoch", "e1".to_owned()),
        ("head", "7".to_owned()),
        ("server_time", notice.server_time.to_string()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(alice.properties, expected);
    assert_eq!(notice.head.unwrap().get(), 7);
    let now = u64::try_from(world.clock.now_ms()).unwrap();
    assert!(now.abs_diff(notice.server_time) < 60_000);

    let device = world.connect(&world.device_request("phone", None)).await;
    let names: Vec<_> = device
        .properties
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["registration_id", "device_secret", "server_time"]);
}

async fn subscribing_sends_the_notice_again_with_what_this_connection_was_issued() {
    let world = World::new().await;
    let device = world.connect(&world.device_request("phone", None)).await;
    let secret = device.notice.device_secret.clone();
    for _ in 0..2 {
        assert_eq!(world.subscribe(device.id()).await.device_secret, secret);
    }
    let token = world.login(device.id(), "alice").await.unwrap().token;
    let notice = world.subscribe(device.id()).await;
    assert_eq!(
        (notice.device_secret, notice.token),
        (secret.clone(), token)
    );
    assert_eq!(notice.username, Some(user("alice")));
    assert_eq!(notice.head.unwrap().get(), 7);

    let back = world.device("phone", secret.unwrap().expose()).await;
    let notice = world.subscribe(back.id()).await;
    assert_eq!(
        (notice.device_secret, notice.token),
        (None, None),
        "another connection"
    );
}

async fn a_logout_takes_user_and_token_out_of_the_notice() {
    let world = World::new().await;
    let alice = world.user("alice", "phone").await;
    assert!(world.subscribe(alice.id()).await.token.is_some());
    let logout = world.command::<partyline_protocol::Done>(
        alice.id(),
        names::SESSION_LOGOUT,
        serde_json::json!({}),
    );
    logout.await.unwrap();
    let notice = world.subscribe(alice.id()).await;
    assert_eq!(
        (notice.username, notice.token, notice.epoch),
        (None, None, None)
    );
}

async fn a_connection_that_never_subscribed_leaves_nothing_to_the_next() {
    let world = World::new().await;
    let first = world.user("alice", "phone").await;
    let token = first.token();
    let next = world
        .connect(&world.user_request("alice", "phone", &token))
        .await;
    assert_eq!(world.subscribe(next.id()).await.token, None);
}

async fn what_is_issued_to_the_next_connection_is_not_said_on_the_one_before() {
    let world = World::new().await;
    let first = world.user("alice", "phone").await;
    let request = world.user_request("alice", "phone", "password");
    let AuthVerdict::Allow(admission) = world.judge(&request).await else {
        panic!("not let in");
    };
    // The next one is on its way in; the first still holds the session.
    assert_eq!(world.subscribe(first.id()).await.token, None);
    let logout = world.command::<partyline_protocol::Done>(
        first.id(),
        names::SESSION_LOGOUT,
        serde_json::json!({}),
    );
    logout.await.unwrap();
    let next = world.broker.open(&request, *admission);
    assert!(world.subscribe(next.id).await.token.is_some());
}

async fn the_topics_are_owned_and_configure_is_delegated() {
    let world = World::new().await;
    let owned: Vec<_> = world
        .registrations
        .namespaces
        .iter()
        .map(|name| name.prefix)
        .collect();
    assert_eq!(owned, ["$session", "$im/session/"]);
    let delegated = &world.registrations.delegations[0];
    assert_eq!(
        (delegated.prefix, delegated.to),
        (names::SESSION_CONFIGURE, "im")
    );
    let outlet = &world.registrations.outlets[0];
    assert_eq!(
        (outlet.topic, outlet.qos),
        (names::SESSION, Qos::AtMostOnce)
    );
    assert_eq!(outlet.audience, Audience::Devices);
    assert!(
        world
            .registrations
            .commands
            .iter()
            .all(|entry| entry.reply_topic == names::IM_REPLY)
    );
    let device = world.device("phone", OWN).await;
    assert!(world.broker.session(device.id()).is_some());
    world.stop().await;
}
