//! Changes, made by another process, and what they do here.

use partyline_plugin::services::UserState;
use partyline_plugin::{AuthVerdict, Reason};
use partyline_protocol::{AppKey, Done, KickReason, names};
use serde_json::json;

use crate::support::{World, eventually, read_notice, user};

crate::support::database::on_both! {
    a_changed_password_ends_every_login,
    a_disabled_user_is_kicked_and_comes_back_when_enabled,
    a_connection_on_its_way_in_does_not_outlive_the_change,
    a_deleted_user_is_kicked_and_their_stream_forgotten,
    a_stream_that_can_not_forget_keeps_no_other_waiting,
    a_deleted_app_is_dropped_and_its_streams_forgotten,
    an_app_deleted_while_nobody_ran_is_dropped_at_the_next_start,
    the_accounts_service_notices_changes_of_other_processes,
    a_deleted_users_own_devices_end_also_where_nobody_is_logged_in,
}

async fn an_app_deleted_while_nobody_ran_is_dropped_at_the_next_start() {
    let world = World::new().await;
    let gone = AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    world
        .broker
        .keep(&[gone.clone(), world.app.app_key.clone()]);
    world.build_again().await;
    assert_eq!(world.broker.dropped_apps(), [gone]);
}

async fn a_changed_password_ends_every_login() {
    let world = World::new().await;
    let phone = world.user("alice", "phone").await;
    let device = world.device("device", "sixteen bytes ok").await;
    world.login(device.id(), "alice").await.unwrap();
    let bobby = world.user("bobby", "phone").await;
    let (other_process, alice) = (world.other_process(), user("alice"));
    other_process
        .set_password(&world.app.app_key, &alice, Some("new password"))
        .await
        .unwrap();
    eventually!(!world.broker.is_open(phone.id()) && !world.broker.is_open(device.id()));
    let kick = world.broker.kick_of(phone.id()).unwrap();
    assert_eq!(kick.reason, Reason::AdministrativeAction);
    let kicked = read_notice(&kick.notice.unwrap()).kicked.unwrap();
    assert_eq!(kicked.reason, KickReason::PasswordChanged);
    assert!(world.broker.is_open(bobby.id()));
    for old in [&*phone.token(), "password"] {
        let request = world.user_request("alice", "phone", old);
        assert_eq!(world.refused(&request).await, Reason::BadUserNameOrPassword);
    }
    world
        .connect(&world.user_request("alice", "phone", "new password"))
        .await;
}

async fn a_disabled_user_is_kicked_and_comes_back_when_enabled() {
    let world = World::new().await;
    let phone = world.user("alice", "phone").await;
    let (other_process, alice) = (world.other_process(), user("alice"));
    let app = &world.app.app_key;
    other_process.disable_user(app, &alice).await.unwrap();
    eventually!(world.broker.kick_of(phone.id()).is_some());
    let kick = world.broker.kick_of(phone.id()).unwrap();
    assert_eq!(kick.message.as_deref(), Some("disabled"));
    other_process.enable_user(app, &alice).await.unwrap();
    let by_token = world.user_request("alice", "phone", &phone.token());
    assert_eq!(
        world.refused(&by_token).await,
        Reason::BadUserNameOrPassword
    );
    world
        .connect(&world.user_request("alice", "phone", "password"))
        .await;
}

async fn a_connection_on_its_way_in_does_not_outlive_the_change() {
    let world = World::new().await;
    let witness = world.user("alice", "tablet").await;
    let request = world.user_request("alice", "phone", "password");
    let AuthVerdict::Allow(admission) = world.judge(&request).await else {
        panic!("not let in");
    };
    let (other_process, alice) = (world.other_process(), user("alice"));
    other_process
        .disable_user(&world.app.app_key, &alice)
        .await
        .unwrap();
    eventually!(!world.broker.is_open(witness.id()));
    // The change has been followed, but the session opens only here.
    let session = world.broker.open(&request, *admission);
    world.clock.advance_ms(1000);
    eventually!(!world.broker.is_open(session.id));
}

async fn a_deleted_user_is_kicked_and_their_stream_forgotten() {
    let world = World::new().await;
    let phone = world.user("alice", "phone").await;
    let (other_process, alice) = (world.other_process(), user("alice"));
    let app = &world.app.app_key;
    other_process.delete_user(app, &alice).await.unwrap();
    eventually!(!world.broker.is_open(phone.id()));
    eventually!(world.streams.forgotten() == ["user alice"]);
    eventually!(
        other_process
            .add_user(app, &alice, Some("password"))
            .await
            .is_ok()
    );
    let new = world.user("alice", "phone").await;
    assert_ne!(
        new.registration(),
        phone.registration(),
        "a namesake has other devices"
    );
}

async fn a_stream_that_can_not_forget_keeps_no_other_waiting() {
    let world = World::new().await;
    let app = &world.app.app_key;
    *world.streams.stubborn.lock() = Some(user("alice"));
    for name in ["alice", "bobby"] {
        world.directory.delete_user(app, &user(name)).await.unwrap();
    }
    eventually!(world.streams.forgotten() == ["user bobby"]);
    *world.streams.stubborn.lock() = None;
    eventually!(world.streams.forgotten() == ["user bobby", "user alice"]);
}

async fn a_deleted_app_is_dropped_and_its_streams_forgotten() {
    let world = World::new().await;
    world.device("phone", "sixteen bytes ok").await;
    let app = &world.app.app_key;
    world.other_process().delete_app(app).await.unwrap();
    eventually!(world.broker.dropped_apps().contains(app));
    eventually!(world.streams.forgotten() == [format!("app {app}")]);
    let request = world.device_request("phone", Some("sixteen bytes ok"));
    assert_eq!(world.refused(&request).await, Reason::BadUserNameOrPassword);
    assert!(!world.accounts().app_exists(app).await.unwrap());
}

async fn the_accounts_service_notices_changes_of_other_processes() {
    let world = World::new().await;
    let (accounts, other_process) = (world.accounts(), world.other_process());
    let (app, names) = (&world.app.app_key, [user("alice"), user("carol")]);
    let states = || async { accounts.users(app, &names).await.unwrap() };
    assert_eq!(states().await, [Some(UserState::Active), None]);
    other_process.add_user(app, &names[1], None).await.unwrap();
    other_process.disable_user(app, &names[0]).await.unwrap();
    let expected = [Some(UserState::Disabled), Some(UserState::Active)];
    eventually!(states().await == expected);
    // This process sees its own changes at once.
    world.directory.delete_user(app, &names[1]).await.unwrap();
    assert_eq!(states().await, [Some(UserState::Disabled), None]);
}

async fn a_deleted_users_own_devices_end_also_where_nobody_is_logged_in() {
    let world = World::new().await;
    let (app, alice) = (&world.app.app_key, user("alice"));
    let (out, device) = (
        world.user("alice", "out").await,
        world.device("device", "sixteen bytes ok").await,
    );
    world.login(device.id(), "alice").await.unwrap();
    let bobby = world.user("bobby", "out").await;
    for session in [out.id(), device.id(), bobby.id()] {
        let logout = world.command::<Done>(session, names::SESSION_LOGOUT, json!({}));
        logout.await.unwrap();
    }
    world
        .other_process()
        .delete_user(app, &alice)
        .await
        .unwrap();
    eventually!(!world.broker.is_open(out.id()));
    let kick = world.broker.kick_of(out.id()).unwrap();
    assert_eq!(kick.message.as_deref(), Some("deleted"));
    assert!(world.broker.is_open(device.id()) && world.broker.is_open(bobby.id()));
}
