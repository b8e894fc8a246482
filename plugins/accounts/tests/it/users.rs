//! `{appkey}/{username}`: a user, on a device.

use partyline_plugin::{Owner, Reason};
use partyline_protocol::{Class, ErrorCode, names};
use serde_json::json;

use crate::support::{World, eventually, name_property, user};

crate::support::database::on_both! {
    a_user_connects_by_password_and_comes_back_by_token,
    a_token_is_bound_to_its_user_and_device_and_revocable,
    without_proof_a_user_has_a_device_of_their_own,
    a_user_sits_on_a_device_that_the_connection_proves,
    a_wrong_device_secret_is_refused_and_registers_nothing,
    a_user_has_at_most_20_devices,
    assigned_client_ids_do_not_fill_the_device_limit,
    the_class_is_that_of_the_platform_and_stays_with_the_token,
    room_for_a_device_is_made_by_one_that_is_not_connected,
}

const OWN: &str = "sixteen bytes ok";

async fn a_user_connects_by_password_and_comes_back_by_token() {
    let world = World::new().await;
    let first = world.user("alice", "phone").await;
    assert_eq!(first.session.principal.username(), Some(&user("alice")));
    assert_eq!(first.notice.username, Some(user("alice")));
    let token = first.token();
    let back = world
        .connect(&world.user_request("alice", "phone", &token))
        .await;
    assert_eq!(back.registration(), first.registration());
    assert_eq!(back.notice.token, None, "only when newly issued");
}

async fn a_token_is_bound_to_its_user_and_device_and_revocable() {
    let world = World::new().await;
    let token = world.user("alice", "phone").await.token();
    let bad = Reason::BadUserNameOrPassword;
    for (name, id) in [("bobby", "phone"), ("alice", "tablet")] {
        let request = world.user_request(name, id, &token);
        assert_eq!(world.refused(&request).await, bad, "{name} on {id}");
    }
    let request = world.user_request("alice", "phone", &format!("{token}x"));
    assert_eq!(world.refused(&request).await, bad);
    // On the device of the same client id, it is another device.
    world.device("phone", OWN).await;
    let mut request = world.user_request("alice", "phone", &token);
    name_property(&mut request, "device_secret", OWN);
    assert_eq!(world.refused(&request).await, bad);
    // A login by password issues a new one in its place.
    world.user("alice", "phone").await;
    assert_eq!(
        world
            .refused(&world.user_request("alice", "phone", &token))
            .await,
        bad
    );
}

async fn without_proof_a_user_has_a_device_of_their_own() {
    let world = World::new().await;
    let device = world.device("phone", OWN).await;
    let alice = world.user("alice", "phone").await;
    let bobby = world.user("bobby", "phone").await;
    assert_eq!(alice.session.device.owner, Owner::User(user("alice")));
    let registrations = [
        device.registration(),
        alice.registration(),
        bobby.registration(),
    ];
    assert!(registrations[0] != registrations[1] && registrations[1] != registrations[2]);
    assert!(
        world.broker.is_open(device.id()),
        "nobody's session is taken over"
    );
    assert!(world.broker.is_open(alice.id()));
}

async fn a_user_sits_on_a_device_that_the_connection_proves() {
    let world = World::new().await;
    let device = world.device("phone", OWN).await;
    let mut request = world.user_request("alice", "phone", "password");
    name_property(&mut request, "device_secret", OWN);
    let alice = world.connect(&request).await;
    assert_eq!(alice.registration(), device.registration());
    assert_eq!(alice.session.device, device.session.device);
    assert!(
        !world.broker.is_open(device.id()),
        "the same key takes over"
    );
    let mut request = world.user_request("alice", "phone", &alice.token());
    name_property(&mut request, "device_secret", OWN);
    assert_eq!(
        world.connect(&request).await.registration(),
        device.registration()
    );
}

async fn a_wrong_device_secret_is_refused_and_registers_nothing() {
    let world = World::new().await;
    let unused = world.connect(&world.device_request("issued", None)).await;
    for id in ["phone", "issued"] {
        let mut request = world.user_request("alice", id, "password");
        name_property(&mut request, "device_secret", OWN);
        assert_eq!(
            world.refused(&request).await,
            Reason::BadUserNameOrPassword,
            "{id}"
        );
    }
    // What was issued still is the secret, and this is its first use.
    let secret = unused.notice.device_secret.unwrap();
    let mut request = world.user_request("alice", "issued", "password");
    name_property(&mut request, "device_secret", secret.expose());
    assert_eq!(
        world.connect(&request).await.registration(),
        &unused.notice.registration_id
    );
    let replacing = world.device_request("issued", None);
    assert_eq!(
        world.refused(&replacing).await,
        Reason::BadUserNameOrPassword
    );
}

async fn a_user_has_at_most_20_devices() {
    let world = World::new().await;
    for n in 0..20 {
        world.user("alice", &format!("device-{n}")).await;
    }
    let one_more = world.user_request("alice", "device-20", "password");
    assert_eq!(world.refused(&one_more).await, Reason::QuotaExceeded);
    let device = world.device("phone", OWN).await;
    let refused = world.login(device.id(), "alice").await.unwrap_err();
    assert_eq!(refused, ErrorCode::DeviceLimit);
    let known = world.user("alice", "device-0").await;
    let logout = world.command::<serde_json::Value>(known.id(), names::SESSION_LOGOUT, json!({}));
    logout.await.unwrap();
    world.connect(&one_more).await;
}

async fn assigned_client_ids_do_not_fill_the_device_limit() {
    let world = World::with(|config| config.devices.per_user = 3).await;
    for n in 0..10 {
        let mut request = world.user_request("alice", &format!("auto-{n}"), "password");
        request.client_id_assigned = true;
        let connected = world.connect(&request).await;
        world.broker.close(connected.id());
    }
}

async fn the_class_is_that_of_the_platform_and_stays_with_the_token() {
    let world = World::new().await;
    let class = |connected: &crate::support::Connected| {
        connected
            .session
            .principal
            .user
            .as_ref()
            .map(|login| login.class)
    };
    let none = world.user("alice", "toaster").await;
    assert_eq!(class(&none), Some(Class::Other));
    let phone = world.user_on("alice", "phone", "a").await;
    assert_eq!(class(&phone), Some(Class::Mobile));
    // 3.1.1 can't name it again, neither by token nor by password.
    for proof in [&*phone.token(), "password"] {
        let back = world.user_request("alice", "phone", proof);
        assert_eq!(class(&world.connect(&back).await), Some(Class::Mobile));
    }
    let named = world.user_on("alice", "phone", "toaster").await;
    assert_eq!(class(&named), Some(Class::Other), "named anew");
}

async fn room_for_a_device_is_made_by_one_that_is_not_connected() {
    let world = World::with(|config| config.devices.per_user = 2).await;
    let logout = async |session| {
        let logout = world.command::<serde_json::Value>(session, names::SESSION_LOGOUT, json!({}));
        logout.await.unwrap();
    };
    let (open, gone) = (
        world.user("alice", "open").await,
        world.user("alice", "gone").await,
    );
    logout(open.id()).await;
    logout(gone.id()).await;
    world.broker.close(gone.id());
    world.user("alice", "new").await;
    let forgotten = format!("device alice {}", gone.registration());
    eventually!(world.streams.forgotten().contains(&forgotten));
    // The connection goes on where it was.
    world.login(open.id(), "alice").await.unwrap();
    assert_eq!(world.streams.forgotten(), [forgotten]);
}
