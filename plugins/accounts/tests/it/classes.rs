//! Classes, kicks, and how long a kicked user is refused.

use partyline_plugin::Reason;
use partyline_protocol::{Class, ErrorCode, KickReason, names};
use serde_json::{Value, json};

use crate::support::{World, name_property, read_notice};

crate::support::database::on_both! {
    within_a_class_a_newer_login_kicks_the_older,
    classes_and_users_do_not_kick_each_other,
    devices_without_a_platform_do_not_kick_each_other,
    client_ids_made_up_by_the_broker_kick_nobody_and_are_kicked_by_nobody,
    a_repeated_request_to_kick_does_not_kick_again,
    a_kick_says_why_to_mqtt_5_and_to_3_1_1,
    a_device_that_is_offline_is_kicked_too,
    a_kicked_user_is_refused_from_that_device_for_60_s_also_with_the_password,
    the_time_doubles_with_each_kick_up_to_an_hour,
    connecting_as_the_device_and_logging_in_clears_it,
    two_phones_do_not_kick_each_other_for_ever,
    the_same_machine_by_another_way_in_is_kicked_but_not_banned,
    a_user_kicks_their_own_devices_only,
}

const OWN: &str = "sixteen bytes ok";

async fn within_a_class_a_newer_login_kicks_the_older() {
    let world = World::new().await;
    for (older, newer) in [
        ("android", "ios"),
        ("windows", "linux"),
        ("web", "web"),
        ("mobile", "a"),
    ] {
        let first = world
            .user_on("alice", &format!("first-{older}"), older)
            .await;
        let second = world
            .user_on("alice", &format!("second-{newer}"), newer)
            .await;
        assert!(!world.broker.is_open(first.id()), "{older}");
        assert!(world.broker.is_open(second.id()), "{newer}");
    }
}

async fn classes_and_users_do_not_kick_each_other() {
    let world = World::new().await;
    let mut sessions = Vec::new();
    for (name, id, platform) in [
        ("alice", "phone", "ios"),
        ("alice", "desk", "windows"),
        ("alice", "browser", "web"),
        ("bobby", "phone", "ios"),
    ] {
        sessions.push(world.user_on(name, id, platform).await.id());
    }
    assert!(
        sessions
            .iter()
            .all(|session| world.broker.is_open(*session))
    );
}

async fn devices_without_a_platform_do_not_kick_each_other() {
    let world = World::new().await;
    let one = world.user("alice", "one").await;
    let two = world.user_on("alice", "two", "toaster").await;
    world.user_on("alice", "three", "").await;
    assert!(world.broker.is_open(one.id()) && world.broker.is_open(two.id()));
}

async fn client_ids_made_up_by_the_broker_kick_nobody_and_are_kicked_by_nobody() {
    let world = World::new().await;
    let phone = world.connect(&named(&world, "phone")).await;
    let mut assigned = Vec::new();
    for id in ["auto-1", "auto-2"] {
        let mut request = named(&world, id);
        request.client_id_assigned = true;
        let connected = world.connect(&request).await;
        let login = connected.session.principal.user.as_ref().unwrap();
        assert_eq!(login.class, Class::Other);
        assigned.push(connected);
    }
    assert!(world.broker.is_open(phone.id()));
    world.connect(&named(&world, "tablet")).await;
    assert!(!world.broker.is_open(phone.id()));
    for connected in &assigned {
        assert!(world.broker.is_open(connected.id()));
    }
    // Also when they come back with their tokens.
    let back = world.user_request("alice", "auto-1", &assigned[0].token());
    world.connect(&back).await;
    assert!(world.broker.is_open(assigned[1].id()));
}

async fn a_repeated_request_to_kick_does_not_kick_again() {
    let world = World::new().await;
    let desk = world.user("alice", "desk").await;
    let phone = world.user("alice", "phone").await;
    let kick = json!({ "id": "7", "registration_id": phone.registration() });
    let kick = || world.command::<Value>(desk.id(), names::SESSION_KICK, kick.clone());
    kick().await.unwrap();
    assert!(!world.broker.is_open(phone.id()));
    world.clock.advance_ms(60_000);
    let back = world.user("alice", "phone").await;
    assert_eq!(back.registration(), phone.registration());
    kick().await.unwrap();
    assert!(world.broker.is_open(back.id()));
}

async fn a_kick_says_why_to_mqtt_5_and_to_3_1_1() {
    let world = World::new().await;
    let first = world.user_on("alice", "phone", "ios").await;
    world.user_on("alice", "tablet", "ios").await;
    let kick = world.broker.kick_of(first.id()).unwrap();
    assert_eq!(kick.reason, Reason::AdministrativeAction);
    assert_eq!(kick.message.as_deref(), Some("new_login"));
    let notice = read_notice(&kick.notice.unwrap());
    assert_eq!(&notice.registration_id, first.registration());
    let kicked = notice.kicked.unwrap();
    assert_eq!(
        (kicked.reason, kicked.code),
        (KickReason::NewLogin, Reason::AdministrativeAction)
    );
}

async fn a_device_that_is_offline_is_kicked_too() {
    let world = World::new().await;
    let phone = world.user_on("alice", "phone", "ios").await;
    world.broker.close(phone.id());
    world.user_on("alice", "tablet", "ios").await;
    world.clock.advance_ms(60_000);
    let request = world.user_request("alice", "phone", &phone.token());
    assert_eq!(
        world.refused(&request).await,
        Reason::BadUserNameOrPassword,
        "revoked"
    );
}

async fn a_kicked_user_is_refused_from_that_device_for_60_s_also_with_the_password() {
    let world = World::new().await;
    let phone = world.user_on("alice", "phone", "ios").await;
    world.user_on("alice", "tablet", "ios").await;
    let by_token = world.user_request("alice", "phone", &phone.token());
    let by_password = world.user_request("alice", "phone", "password");
    assert_eq!(world.refused(&by_token).await, Reason::Banned);
    assert_eq!(world.refused(&by_password).await, Reason::Banned);
    let wrong = world.user_request("alice", "phone", "wrong one");
    assert_eq!(world.refused(&wrong).await, Reason::BadUserNameOrPassword);
    world.user("bobby", "phone").await;
    world.user("alice", "watch").await;
    world.clock.advance_ms(59_000);
    assert_eq!(world.refused(&by_password).await, Reason::Banned);
    world.clock.advance_ms(1_000);
    world.connect(&by_password).await;
}

async fn the_time_doubles_with_each_kick_up_to_an_hour() {
    let world = World::new().await;
    let phone = named(&world, "phone");
    let tablet = named(&world, "tablet");
    world.connect(&phone).await;
    for seconds in [60, 120, 240, 480, 960, 1920, 3600] {
        world.connect(&tablet).await;
        world.clock.advance_ms((seconds - 1) * 1000);
        assert_eq!(world.refused(&phone).await, Reason::Banned, "{seconds}");
        world.clock.advance_ms(1000);
        world.connect(&phone).await;
        // The tablet was kicked as well; it must be let in again for the next round.
        world.clock.advance_ms(seconds * 1000);
    }
}

async fn connecting_as_the_device_and_logging_in_clears_it() {
    let world = World::new().await;
    world.user_on("alice", "phone", "ios").await;
    let tablet = world.user_on("alice", "tablet", "ios").await;
    let request = world.user_request("alice", "phone", "password");
    assert_eq!(world.refused(&request).await, Reason::Banned);
    let device = world.device("phone", OWN).await;
    let login = json!({ "username": "alice", "password": "password", "platform": "ios" });
    let login = world
        .command::<Value>(device.id(), names::SESSION_LOGIN, login)
        .await;
    login.unwrap();
    assert!(
        !world.broker.is_open(tablet.id()),
        "it is the newer login now"
    );
    world.connect(&request).await;
}

async fn two_phones_do_not_kick_each_other_for_ever() {
    let world = World::new().await;
    let (phone, tablet) = (named(&world, "phone"), named(&world, "tablet"));
    world.connect(&phone).await;
    world.connect(&tablet).await;
    for _ in 0..10 {
        assert_eq!(world.refused(&phone).await, Reason::Banned);
        world.clock.advance_ms(5_000);
    }
}

async fn the_same_machine_by_another_way_in_is_kicked_but_not_banned() {
    let world = World::new().await;
    let own = world.user_on("alice", "phone", "ios").await;
    world.device("phone", OWN).await;
    let mut request = named(&world, "phone");
    name_property(&mut request, "device_secret", OWN);
    let proven = world.connect(&request).await;
    assert!(!world.broker.is_open(own.id()));
    let mut back = world.user_request("alice", "phone", &proven.token());
    name_property(&mut back, "device_secret", OWN);
    world.connect(&back).await;
}

async fn a_user_kicks_their_own_devices_only() {
    let world = World::new().await;
    let phone = world.user("alice", "phone").await;
    let tablet = world.user("alice", "tablet").await;
    let other = world.user("bobby", "phone").await;
    let kick = |from: &crate::support::Connected, whom: &crate::support::Connected| {
        let request = json!({ "registration_id": whom.registration() });
        let (world, from) = (&world, from.id());
        async move {
            world
                .command::<Value>(from, names::SESSION_KICK, request)
                .await
        }
    };
    assert_eq!(kick(&phone, &other).await, Err(ErrorCode::DeviceNotMatch));
    assert_eq!(kick(&phone, &phone).await, Err(ErrorCode::InvalidRequest));
    kick(&phone, &tablet).await.unwrap();
    let ended = world.broker.kick_of(tablet.id()).unwrap();
    assert_eq!(ended.message.as_deref(), Some("device"));
    kick(&phone, &tablet).await.unwrap();
    let back = world.user_request("alice", "tablet", &tablet.token());
    assert_eq!(world.refused(&back).await, Reason::Banned);
    assert!(world.broker.is_open(other.id()) && world.broker.is_open(phone.id()));
}

fn named(world: &World, id: &str) -> partyline_plugin::ConnectRequest {
    let mut request = world.user_request("alice", id, "password");
    name_property(&mut request, "platform", "ios");
    request
}
