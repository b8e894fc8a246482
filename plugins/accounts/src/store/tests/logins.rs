use partyline_plugin::database::Database;
use partyline_protocol::{Class, Platform, Secret, Username};

use super::kicks::kick;
use super::{World, address, client, new_registration, user};
use crate::config::BanConfig;
use crate::ending::Kicking;
use crate::login::{LogIn, LoginOutcome, Place, Proof};
use crate::secret::SecretHash;
use crate::store::{self, Device};

/// A login of `user` by password on a device of their own, at time 0 of the bans.
pub(super) async fn log_in(world: &World, user: &Username, id: &str, platform: Platform) -> LogIn {
    let mut store = store::read(&world.database).await.unwrap();
    let found = store.user(&world.app, user).await.unwrap().unwrap();
    LogIn {
        app: world.app.clone(),
        user: user.clone(),
        generation: found.generation,
        proof: Proof::Password {
            token: token(id),
            rehashed: None,
        },
        place: Place::Own {
            client_id: client(id),
            assigned: false,
        },
        platform: Some(platform),
        registration: new_registration(),
        clears_ban: false,
        address: address(),
        devices_per_user: 3,
        may_crowd: false,
        ban: BanConfig::default(),
        now: 0,
    }
}

fn token(of: &str) -> SecretHash {
    SecretHash::of(format!("token of {of}"))
}

pub(super) async fn admitted(world: &World, log_in: LogIn) -> (Device, bool) {
    match store::write(&world.database, log_in).await.unwrap() {
        LoginOutcome::In { device, displaced } => (*device, displaced),
        other => panic!("{other:?}"),
    }
}

/// The client ids on which the user is logged in, sorted.
pub(super) async fn active(world: &World, user: &Username) -> Vec<String> {
    let mut store = store::read(&world.database).await.unwrap();
    let logins = store.active_logins(&world.app, user).await.unwrap();
    let mut ids: Vec<_> = logins
        .iter()
        .map(|login| login.client_id.to_string())
        .collect();
    ids.sort_unstable();
    ids
}

pub(super) async fn a_login_has_one_token_a_device(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let first = log_in(&world, &alice, "phone", Platform::Android).await;
    let (device, _) = admitted(&world, first).await;
    let again = LogIn {
        proof: Proof::Password {
            token: token("newer"),
            rehashed: None,
        },
        ..log_in(&world, &alice, "phone", Platform::Android).await
    };
    let (same, displaced) = admitted(&world, again).await;
    assert_eq!(same.registration, device.registration);
    assert!(!displaced, "a login never kicks its own device");
    let mut store = store::read(&world.database).await.unwrap();
    assert!(store.token(&token("phone")).await.unwrap().is_none());
    let found = store.token(&token("newer")).await.unwrap().unwrap();
    assert_eq!(
        (&found.username, &found.device.registration),
        (&alice, &device.registration)
    );
    assert!(!found.revoked && !found.disabled && found.ban().is_none());
    assert_eq!(found.device.platform(), Platform::Android);
}

pub(super) async fn a_newer_login_of_the_class_ends_the_older(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    for (id, platform) in [
        ("phone", Platform::Android),
        ("desk", Platform::Linux),
        ("toaster", Platform::Other),
    ] {
        let login = log_in(&world, &alice, id, platform).await;
        assert!(!admitted(&world, login).await.1, "{id}");
    }
    let tablet = LogIn {
        devices_per_user: 4,
        ..log_in(&world, &alice, "tablet", Platform::Ios).await
    };
    assert!(admitted(&world, tablet).await.1);
    assert_eq!(active(&world, &alice).await, ["desk", "tablet", "toaster"]);
    let mut store = store::read(&world.database).await.unwrap();
    let kicked = store.token(&token("phone")).await.unwrap().unwrap();
    assert!(kicked.revoked && kicked.ban().unwrap().holds(59_999));
    assert!(!kicked.ban().unwrap().holds(60_000));
}

pub(super) async fn logins_of_one_class_side_by_side_leave_one(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let one = log_in(&world, &alice, "phone", Platform::Android).await;
    let other = log_in(&world, &alice, "tablet", Platform::Ios).await;
    let (one, other) = tokio::join!(admitted(&world, one), admitted(&world, other));
    assert_ne!(one.1, other.1, "the later one kicks the earlier");
    assert_eq!(active(&world, &alice).await.len(), 1);
}

pub(super) async fn a_ban_refuses_until_it_ends_or_is_cleared(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let phone = log_in(&world, &alice, "phone", Platform::Android).await;
    admitted(&world, phone).await;
    let tablet = log_in(&world, &alice, "tablet", Platform::Android).await;
    admitted(&world, tablet).await;
    let at = |now, clears_ban| {
        let world = &world;
        let alice = &alice;
        async move {
            let log_in = log_in(world, alice, "phone", Platform::Other).await;
            store::write(
                &world.database,
                LogIn {
                    clears_ban,
                    now,
                    ..log_in
                },
            )
            .await
            .unwrap()
        }
    };
    assert!(matches!(at(59_999, false).await, LoginOutcome::Banned));
    assert!(matches!(at(59_999, true).await, LoginOutcome::In { .. }));
    assert!(
        matches!(at(0, false).await, LoginOutcome::In { .. }),
        "it was cleared"
    );
}

pub(super) async fn the_device_limit_counts_logins(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let (one, _) = admitted(&world, log_in(&world, &alice, "one", Platform::Other).await).await;
    admitted(&world, log_in(&world, &alice, "two", Platform::Other).await).await;
    admitted(
        &world,
        log_in(&world, &alice, "phone", Platform::Android).await,
    )
    .await;
    let more = log_in(&world, &alice, "more", Platform::Other).await;
    let outcome = store::write(&world.database, more).await.unwrap();
    assert!(
        matches!(outcome, LoginOutcome::TooManyDevices),
        "{outcome:?}"
    );
    assert_eq!(owned(&world, &alice).await, ["one", "phone", "two"]);
    // The login that it ends makes room for it.
    admitted(
        &world,
        log_in(&world, &alice, "tablet", Platform::Ios).await,
    )
    .await;
    assert_eq!(
        owned(&world, &alice).await,
        ["one", "phone", "tablet", "two"]
    );
    let pc = log_in(&world, &alice, "pc", Platform::Pc).await;
    let outcome = store::write(&world.database, pc).await.unwrap();
    assert!(
        matches!(outcome, LoginOutcome::TooManyDevices),
        "{outcome:?}"
    );

    assert_eq!(
        kick(&world, &alice, &one.registration).await,
        Kicking::Kicked
    );
    let pc = log_in(&world, &alice, "pc", Platform::Pc).await;
    let outcome = store::write(&world.database, pc).await.unwrap();
    assert!(matches!(outcome, LoginOutcome::Crowded), "{outcome:?}");
    let pc = LogIn {
        may_crowd: true,
        ..log_in(&world, &alice, "pc", Platform::Pc).await
    };
    admitted(&world, pc).await;
    assert_eq!(active(&world, &alice).await, ["pc", "tablet", "two"]);
}

/// The client ids of the user's own devices.
async fn owned(world: &World, user: &Username) -> Vec<String> {
    let mut store = store::read(&world.database).await.unwrap();
    let devices = store.user_devices(&world.app, user).await.unwrap();
    let mut ids: Vec<_> = devices
        .iter()
        .map(|d| d.device.client_id.to_string())
        .collect();
    ids.sort_unstable();
    ids
}

pub(super) async fn a_changed_password_ends_tokens_and_logins_in_progress(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let phone = log_in(&world, &alice, "phone", Platform::Android).await;
    admitted(&world, phone).await;
    let verified_before = log_in(&world, &alice, "tablet", Platform::Other).await;
    let by_token = LogIn {
        proof: Proof::Token {
            token: token("phone"),
        },
        ..log_in(&world, &alice, "phone", Platform::Ios).await
    };
    world
        .directory
        .set_password(&world.app, &alice, Some("new password"))
        .await
        .unwrap();
    assert!(active(&world, &alice).await.is_empty());
    for late in [verified_before, by_token] {
        let outcome = store::write(&world.database, late).await.unwrap();
        assert!(matches!(outcome, LoginOutcome::Changed), "{outcome:?}");
    }
    let by_token = LogIn {
        proof: Proof::Token {
            token: token("phone"),
        },
        ..log_in(&world, &alice, "phone", Platform::Ios).await
    };
    let outcome = store::write(&world.database, by_token).await.unwrap();
    assert!(matches!(outcome, LoginOutcome::Changed), "a revoked token");
}

pub(super) async fn a_disabled_user_is_nowhere_logged_in(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let phone = log_in(&world, &alice, "phone", Platform::Android).await;
    admitted(&world, phone).await;
    let late = log_in(&world, &alice, "tablet", Platform::Other).await;
    world
        .directory
        .disable_user(&world.app, &alice)
        .await
        .unwrap();
    assert!(active(&world, &alice).await.is_empty());
    assert!(matches!(
        store::write(&world.database, late).await.unwrap(),
        LoginOutcome::Changed
    ));
    world
        .directory
        .enable_user(&world.app, &alice)
        .await
        .unwrap();
    assert!(
        active(&world, &alice).await.is_empty(),
        "disabling revoked the token"
    );
}

pub(super) async fn the_last_user_of_a_device_is_the_only_one(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let bobby = user("bobby");
    world
        .directory
        .add_user(&world.app, &bobby, Some("password"))
        .await
        .unwrap();
    let phone = log_in(&world, &alice, "phone", Platform::Android).await;
    let (phone, _) = admitted(&world, phone).await;
    let switch = LogIn {
        place: Place::Device(Box::new(phone)),
        ..log_in(&world, &bobby, "switch", Platform::Android).await
    };
    admitted(&world, switch).await;
    assert!(active(&world, &alice).await.is_empty());
    assert_eq!(active(&world, &bobby).await, ["phone"]);
}

pub(super) async fn assigned_ids_displace_nobody_and_are_displaced_by_nobody(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let assigned = |id: &'static str| {
        let (world, alice) = (&world, &alice);
        async move {
            LogIn {
                place: Place::Own {
                    client_id: client(id),
                    assigned: true,
                },
                ..log_in(world, alice, id, Platform::Android).await
            }
        }
    };
    let phone = log_in(&world, &alice, "phone", Platform::Android).await;
    admitted(&world, phone).await;
    for id in ["auto-1", "auto-2"] {
        let (device, displaced) = admitted(&world, assigned(id).await).await;
        assert!(!displaced && device.class() == Class::Other, "{id}");
    }
    let tablet = LogIn {
        devices_per_user: 4,
        ..log_in(&world, &alice, "tablet", Platform::Ios).await
    };
    assert!(admitted(&world, tablet).await.1);
    let left = active(&world, &alice).await;
    assert_eq!(left, ["auto-1", "auto-2", "tablet"]);
}

pub(super) async fn a_login_that_names_no_platform_keeps_the_devices(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let ios = log_in(&world, &alice, "phone", Platform::Ios).await;
    admitted(&world, ios).await;
    for (named, kept) in [
        (None, Platform::Ios),
        (Some(Platform::Other), Platform::Other),
        (None, Platform::Other),
    ] {
        let again = LogIn {
            platform: named,
            ..log_in(&world, &alice, "phone", Platform::Ios).await
        };
        assert_eq!(admitted(&world, again).await.0.platform(), kept);
    }
}

pub(super) async fn a_login_stores_the_password_at_the_present_cost(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let rehashed = LogIn {
        proof: Proof::Password {
            token: token("phone"),
            rehashed: Some(Secret::new("$new")),
        },
        ..log_in(&world, &alice, "phone", Platform::Ios).await
    };
    let verified_before = log_in(&world, &alice, "tablet", Platform::Other).await;
    admitted(&world, rehashed).await;
    let mut store = store::read(&world.database).await.unwrap();
    let found = store.user(&world.app, &alice).await.unwrap().unwrap();
    assert_eq!(found.password_phc, "$new");
    assert!(!format!("{found:?}").contains("$new"));
    drop(store);
    // The password is the same, so nobody has to prove it again.
    admitted(&world, verified_before).await;
}
