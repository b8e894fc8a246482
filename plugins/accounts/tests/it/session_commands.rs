//! Login, logout and devices on an open connection.

use std::sync::atomic::Ordering;

use partyline_plugin::Reason;
use partyline_protocol::{Class, DeviceList, Done, ErrorCode, LoggedIn, Platform, names};
use serde_json::json;

use crate::support::{World, eventually, name_property, user};

crate::support::database::on_both! {
    a_push_device_becomes_a_chat_client_and_back,
    a_login_by_token_keeps_the_token,
    a_device_switches_users_and_the_first_ones_token_ends,
    logins_of_one_connection_happen_in_order,
    devices_and_kick_see_the_login_before_them,
    a_login_is_answered_after_the_user_has_changed,
    nobody_else_logs_in_on_a_users_own_device,
    a_login_needs_one_credential,
    the_devices_are_those_where_the_user_is_logged_in,
    verbs_that_need_a_user_say_so,
}

const OWN: &str = "sixteen bytes ok";

async fn a_push_device_becomes_a_chat_client_and_back() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    let login = json!({ "username": "alice", "password": "password", "platform": "ios" });
    let answer: LoggedIn = world
        .command(phone.id(), names::SESSION_LOGIN, login)
        .await
        .unwrap();
    assert_eq!(&answer.registration_id, phone.registration());
    assert_eq!((answer.epoch.as_str(), answer.head.get()), ("e1", 7));
    let token = answer.token.unwrap();
    let session = partyline_plugin::host::Broker::session(&*world.broker, phone.id()).unwrap();
    assert_eq!(
        session.device, phone.session.device,
        "the session's key stays"
    );
    assert_eq!(
        session.principal.user.as_ref().unwrap().class,
        Class::Mobile
    );
    assert_eq!(session.login, 1);

    let logout = world.command::<Done>(phone.id(), names::SESSION_LOGOUT, json!({}));
    logout.await.unwrap();
    assert_eq!(world.username_of(phone.id()), None);
    assert!(world.broker.is_open(phone.id()));
    let mut by_token = world.user_request("alice", "phone", token.expose());
    name_property(&mut by_token, "device_secret", OWN);
    assert_eq!(
        world.refused(&by_token).await,
        Reason::BadUserNameOrPassword,
        "revoked"
    );
    let again = world.command::<Done>(phone.id(), names::SESSION_LOGOUT, json!({}));
    assert_eq!(
        again.await,
        Ok(Done {}),
        "a repeated logout is answered as before"
    );
}

async fn a_login_by_token_keeps_the_token() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    let token = world
        .login(phone.id(), "alice")
        .await
        .unwrap()
        .token
        .unwrap();
    let back = world.device("phone", OWN).await;
    let login = json!({ "username": "alice", "token": token });
    let answer: LoggedIn = world
        .command(back.id(), names::SESSION_LOGIN, login)
        .await
        .unwrap();
    assert_eq!(answer.token, None);
    assert_eq!(world.username_of(back.id()), Some(user("alice")));
    let wrong = json!({ "username": "bobby", "token": token });
    let answer = world
        .command::<LoggedIn>(back.id(), names::SESSION_LOGIN, wrong)
        .await;
    assert_eq!(answer, Err(ErrorCode::TokenInvalid));
    assert_eq!(world.username_of(back.id()), Some(user("alice")));
}

async fn a_device_switches_users_and_the_first_ones_token_ends() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    let alices = world
        .login(phone.id(), "alice")
        .await
        .unwrap()
        .token
        .unwrap();
    world.login(phone.id(), "bobby").await.unwrap();
    assert_eq!(world.username_of(phone.id()), Some(user("bobby")));
    let mut request = world.user_request("alice", "phone", alices.expose());
    name_property(&mut request, "device_secret", OWN);
    assert_eq!(world.refused(&request).await, Reason::BadUserNameOrPassword);
}

async fn logins_of_one_connection_happen_in_order() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    for _ in 0..5 {
        let (alice, bobby) = tokio::join!(
            world.login(phone.id(), "alice"),
            world.login(phone.id(), "bobby")
        );
        alice.unwrap();
        bobby.unwrap();
        assert_eq!(world.username_of(phone.id()), Some(user("bobby")));
    }
}

async fn devices_and_kick_see_the_login_before_them() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    let tablet = world.user("alice", "tablet").await;
    let kick = json!({ "registration_id": tablet.registration() });
    let (login, devices, kick) = tokio::join!(
        biased;
        world.login(phone.id(), "alice"),
        world.command::<DeviceList>(phone.id(), names::SESSION_DEVICES, json!({})),
        world.command::<Done>(phone.id(), names::SESSION_KICK, kick),
    );
    login.unwrap();
    assert_eq!(devices.unwrap().devices.len(), 2);
    kick.unwrap();
    assert!(!world.broker.is_open(tablet.id()));
}

async fn a_login_is_answered_after_the_user_has_changed() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    let held = world.broker.gate.write().await;
    let login = world.login(phone.id(), "alice");
    let begun = async {
        eventually!(world.broker.changing.load(Ordering::Relaxed) == 1);
    };
    tokio::pin!(login);
    tokio::select! {
        biased;
        answer = &mut login => panic!("answered too early: {answer:?}"),
        () = begun => assert_eq!(world.username_of(phone.id()), None),
    }
    drop(held);
    login.await.unwrap();
    assert_eq!(world.username_of(phone.id()), Some(user("alice")));
}

async fn nobody_else_logs_in_on_a_users_own_device() {
    let world = World::new().await;
    let alice = world.user("alice", "phone").await;
    assert_eq!(
        world.login(alice.id(), "bobby").await,
        Err(ErrorCode::InvalidDevice)
    );
    world
        .command::<Done>(alice.id(), names::SESSION_LOGOUT, json!({}))
        .await
        .unwrap();
    assert_eq!(
        world.login(alice.id(), "bobby").await,
        Err(ErrorCode::InvalidDevice)
    );
    world.login(alice.id(), "alice").await.unwrap();
}

async fn a_login_needs_one_credential() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    for request in [
        json!({ "username": "alice" }),
        json!({ "username": "alice", "password": "password", "token": "plt_x" }),
        json!({ "username": "a", "password": "password" }),
    ] {
        let answer = world
            .command::<LoggedIn>(phone.id(), names::SESSION_LOGIN, request)
            .await;
        assert_eq!(answer.unwrap_err().reason(), Reason::PayloadFormatInvalid);
    }
}

async fn the_devices_are_those_where_the_user_is_logged_in() {
    let world = World::new().await;
    let phone = world.user_on("alice", "phone", "ios").await;
    let desk = world.device("desk", OWN).await;
    world.login(desk.id(), "alice").await.unwrap();
    let gone = world.user("alice", "gone").await;
    world.broker.close(gone.id());
    let out = world.user("alice", "out").await;
    world
        .command::<Done>(out.id(), names::SESSION_LOGOUT, json!({}))
        .await
        .unwrap();
    world.user("bobby", "phone").await;
    let list: DeviceList = world
        .command(phone.id(), names::SESSION_DEVICES, json!({}))
        .await
        .unwrap();
    let mut devices: Vec<_> = list
        .devices
        .iter()
        .map(|d| (d.client_id.as_str(), d.platform, d.online))
        .collect();
    devices.sort_unstable();
    let expected = [
        ("desk", Platform::Other, true),
        ("gone", Platform::Other, false),
        ("phone", Platform::Ios, true),
    ];
    assert_eq!(devices, expected);
    let now = u64::try_from(world.clock.now_ms()).unwrap();
    assert!(
        list.devices
            .iter()
            .all(|device| device.last_seen.abs_diff(now) < 60_000)
    );
    assert!(
        list.devices
            .iter()
            .any(|device| &device.registration_id == phone.registration())
    );
}

async fn verbs_that_need_a_user_say_so() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    let list = world
        .command::<DeviceList>(phone.id(), names::SESSION_DEVICES, json!({}))
        .await;
    assert_eq!(list, Err(ErrorCode::UserLogout));
    let kick = json!({ "registration_id": phone.registration() });
    let kick = world
        .command::<Done>(phone.id(), names::SESSION_KICK, kick)
        .await;
    assert_eq!(kick, Err(ErrorCode::UserLogout));
}
