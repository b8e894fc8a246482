//! `{appkey}/$service`: the app's server.

use partyline_plugin::{AuthVerdict, Owner, Reason, Role};
use partyline_protocol::{ErrorCode, names};
use serde_json::{Value, json};

use crate::support::{World, eventually};

crate::support::database::on_both! {
    the_master_secret_makes_a_server_without_user_or_device,
    user_verbs_of_a_server_answer_not_authorized,
    a_rotated_master_secret_kicks_the_servers_that_used_the_old_one,
}

async fn the_master_secret_makes_a_server_without_user_or_device() {
    let world = World::new().await;
    let secret = world.app.master_secret.expose();
    let request = world.request("/$service", "backend", Some(secret));
    let AuthVerdict::Allow(admission) = world.judge(&request).await else {
        panic!("the server was not let in");
    };
    assert_eq!(admission.principal.role, Role::Server);
    assert_eq!(admission.device.owner, Owner::Server);
    assert_eq!(admission.principal.registration, None);
    assert!(admission.principal.user.is_none() && admission.welcome.is_empty());
    for wrong in [None, Some("wrong"), Some("")] {
        let request = world.request("/$service", "backend", wrong);
        assert_eq!(world.refused(&request).await, Reason::BadUserNameOrPassword);
    }
}

async fn user_verbs_of_a_server_answer_not_authorized() {
    let world = World::new().await;
    let session = server(&world).await;
    let requests = [
        (
            names::SESSION_LOGIN,
            json!({ "username": "alice", "password": "password" }),
        ),
        (names::SESSION_LOGOUT, json!({})),
        (names::SESSION_DEVICES, json!({})),
        (names::SESSION_KICK, json!({ "registration_id": "r" })),
    ];
    for (topic, request) in requests {
        let answer: Result<Value, ErrorCode> = world.command(session, topic, request).await;
        assert_eq!(
            answer.unwrap_err().reason(),
            Reason::NotAuthorized,
            "{topic}"
        );
    }
}

async fn a_rotated_master_secret_kicks_the_servers_that_used_the_old_one() {
    let world = World::new().await;
    let phone = world.user("alice", "phone").await;
    let old = server(&world).await;
    let other_process = world.other_process();
    let secret = other_process
        .rotate_secret(&world.app.app_key)
        .await
        .unwrap();
    eventually!(!world.broker.is_open(old));
    assert_eq!(
        world.broker.kick_of(old).unwrap().reason,
        Reason::AdministrativeAction
    );
    let stale = world.request(
        "/$service",
        "backend",
        Some(world.app.master_secret.expose()),
    );
    assert_eq!(world.refused(&stale).await, Reason::BadUserNameOrPassword);
    let request = world.request("/$service", "backend", Some(secret.expose()));
    assert!(matches!(world.judge(&request).await, AuthVerdict::Allow(_)));
    assert!(world.broker.is_open(phone.id()));
}

async fn server(world: &World) -> partyline_plugin::SessionId {
    let secret = world.app.master_secret.expose();
    let request = world.request("/$service", "backend", Some(secret));
    let AuthVerdict::Allow(admission) = world.judge(&request).await else {
        panic!("the server was not let in");
    };
    world.broker.open(&request, *admission).id
}
