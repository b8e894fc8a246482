//! `{appkey}`: devices.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use partyline_accounts::Registration;
use partyline_plugin::{AuthVerdict, Owner, Reason, Role};
use partyline_protocol::{LoggedIn, names};
use serde_json::{Value, json};

use crate::support::{World, contents, eventually, name_property, user};

crate::support::database::on_both! {
    the_app_key_alone_is_a_device,
    the_app_key_is_case_insensitive_and_its_client_id_unique_in_the_app,
    other_user_names_are_left_to_other_plugins_and_unknown_apps_refused,
    a_first_contact_with_an_own_secret_can_be_repeated_and_tells_no_secret,
    an_own_secret_has_at_least_16_bytes,
    a_device_without_a_secret_is_issued_one_that_is_replaceable_until_used,
    guessing_a_client_id_takes_over_no_session_tags_or_pushes,
    a_known_device_without_its_secret_is_refused,
    a_device_that_came_back_lasts_and_others_go_after_24_h,
    assigned_client_ids_never_make_lasting_devices,
    first_contacts_are_limited_per_address,
    first_contacts_are_limited_per_address_also_if_the_devices_come_back,
    first_contacts_in_all_apps_count_together,
    the_demo_app_is_open_and_new_apps_are_closed,
    refused_devices_write_nothing_and_are_limited,
    secrets_are_stored_hashed,
    a_closed_app_registers_no_devices_but_its_users_connect,
    registration_by_token_needs_the_apps_own,
}

const OWN: &str = "sixteen bytes ok";
const HOURS_24: i64 = 24 * 3_600_000;

async fn the_app_key_alone_is_a_device() {
    let world = World::new().await;
    let phone = world.device("phone", OWN).await;
    assert_eq!(phone.session.principal.role, Role::Device);
    assert_eq!(phone.session.device.owner, Owner::Device);
    assert_eq!(phone.session.principal.user, None);
    assert_eq!(&phone.notice.registration_id, phone.registration());
}

async fn the_app_key_is_case_insensitive_and_its_client_id_unique_in_the_app() {
    let world = World::new().await;
    let lower = world.device("phone", OWN).await;
    let mut request = world.device_request("phone", Some(OWN));
    request.username = request.username.map(|name| name.to_uppercase().into());
    let upper = world.connect(&request).await;
    assert_eq!(upper.session.device, lower.session.device);
    assert_eq!(upper.registration(), lower.registration());
}

async fn other_user_names_are_left_to_other_plugins_and_unknown_apps_refused() {
    let world = World::new().await;
    for name in [None, Some("alice"), Some("alice/bob"), Some("")] {
        let mut request = world.device_request("phone", Some(OWN));
        request.username = name.map(Into::into);
        assert!(
            matches!(world.judge(&request).await, AuthVerdict::Next),
            "{name:?}"
        );
    }
    let mut request = world.device_request("phone", Some(OWN));
    request.username = Some("abcdefghijklmnopqrstuvwx".into());
    assert_eq!(world.refused(&request).await, Reason::BadUserNameOrPassword);
    let nobody = world.user_request("a b", "phone", "password");
    assert_eq!(world.refused(&nobody).await, Reason::BadUserNameOrPassword);
}

async fn a_first_contact_with_an_own_secret_can_be_repeated_and_tells_no_secret() {
    let world = World::new().await;
    let first = world.device("phone", OWN).await;
    let again = world.device("phone", OWN).await;
    assert_eq!(first.registration(), again.registration());
    assert_eq!(first.notice.device_secret, None);
    assert_eq!(again.notice.device_secret, None);
}

async fn an_own_secret_has_at_least_16_bytes() {
    let world = World::new().await;
    let short = world.device_request("phone", Some(&OWN[1..]));
    assert_eq!(world.refused(&short).await, Reason::BadUserNameOrPassword);
    world.device("phone", OWN).await;
}

async fn a_device_without_a_secret_is_issued_one_that_is_replaceable_until_used() {
    let world = World::new().await;
    let none = world.device_request("phone", None);
    let lost = world.connect(&none).await;
    let empty = world
        .connect(&world.device_request("phone", Some("")))
        .await;
    assert_ne!(empty.registration(), lost.registration(), "another device");
    assert_ne!(empty.notice.device_secret, lost.notice.device_secret);
    let secret = empty.notice.device_secret.clone().unwrap();
    let used = world.device("phone", secret.expose()).await;
    assert_eq!(used.notice.device_secret, None, "only when newly issued");
    assert_eq!(used.registration(), empty.registration());
    assert_eq!(world.refused(&none).await, Reason::BadUserNameOrPassword);
    let old = lost.notice.device_secret.unwrap();
    let old = world.device_request("phone", Some(old.expose()));
    assert_eq!(world.refused(&old).await, Reason::BadUserNameOrPassword);
}

async fn guessing_a_client_id_takes_over_no_session_tags_or_pushes() {
    let world = World::new().await;
    let none = world.device_request("phone", None);
    let phone = world.connect(&none).await;
    world.login(phone.id(), "alice").await.unwrap();
    for guess in [None, Some(OWN)] {
        let guess = world.device_request("phone", guess);
        assert_eq!(world.refused(&guess).await, Reason::BadUserNameOrPassword);
    }
    assert!(world.broker.is_open(phone.id()));
    assert_eq!(world.username_of(phone.id()), Some(user("alice")));

    // Without a user, the broker's answer may have been lost: whoever comes gets another device.
    let logout = world.command::<Value>(phone.id(), names::SESSION_LOGOUT, json!({}));
    logout.await.unwrap();
    let guesser = world.connect(&none).await;
    assert_ne!(guesser.registration(), phone.registration());
    let forgotten = format!("device alice {}", phone.registration());
    eventually!(world.streams.forgotten().contains(&forgotten));
    let old = phone.notice.device_secret.unwrap();
    let old = world.device_request("phone", Some(old.expose()));
    let verdict = world.judge(&old).await;
    assert!(
        matches!(&verdict, AuthVerdict::Allow(admission)
            if admission.principal.registration.as_ref() != Some(guesser.registration())),
        "it replaces the guesser in turn, as anybody may: {verdict:?}"
    );
}

async fn a_known_device_without_its_secret_is_refused() {
    let world = World::new().await;
    world.device("phone", OWN).await;
    for wrong in [None, Some(""), Some("another 16 bytes")] {
        let request = world.device_request("phone", wrong);
        assert_eq!(
            world.refused(&request).await,
            Reason::BadUserNameOrPassword,
            "{wrong:?}"
        );
    }
}

async fn a_device_that_came_back_lasts_and_others_go_after_24_h() {
    let world = World::with(|config| config.changes.sweep_seconds = 0).await;
    let lasting = world.device("lasting", OWN).await;
    world.device("lasting", OWN).await;
    let passing = world.device("passing", OWN).await;
    let online = world.device("online", OWN).await;
    world.broker.close(passing.id());
    world.clock.advance_ms(HOURS_24 + 60_000);
    // Known by another registration id once the old device is gone; its secret may be another.
    let request = world.device_request("passing", Some("another 16 bytes"));
    eventually!(matches!(world.judge(&request).await, AuthVerdict::Allow(_)));
    assert_eq!(
        world.device("lasting", OWN).await.registration(),
        lasting.registration()
    );
    assert_eq!(
        world.device("online", OWN).await.registration(),
        online.registration()
    );
}

async fn assigned_client_ids_never_make_lasting_devices() {
    let world = World::with(|config| config.changes.sweep_seconds = 0).await;
    let mut request = world.device_request("auto-7", Some(OWN));
    request.client_id_assigned = true;
    let assigned = world.connect(&request).await;
    let back = world.device("auto-7", OWN).await;
    assert_eq!(back.registration(), assigned.registration());
    world.broker.close(back.id());
    world.clock.advance_ms(HOURS_24 + 60_000);
    let request = world.device_request("auto-7", Some("another 16 bytes"));
    eventually!(matches!(world.judge(&request).await, AuthVerdict::Allow(_)));
}

async fn first_contacts_are_limited_per_address() {
    let world = World::with(|config| config.devices.passing_per_address = 2).await;
    world.device("one", OWN).await;
    world.device("two", OWN).await;
    let mut third = world.device_request("three", Some(OWN));
    assert_eq!(world.refused(&third).await, Reason::QuotaExceeded);
    world.device("one", OWN).await;
    world.connect(&third).await;
    third = world.device_request("four", Some(OWN));
    assert_eq!(world.refused(&third).await, Reason::QuotaExceeded);
    third.peer = "192.0.2.2:1".parse().unwrap();
    world.connect(&third).await;
}

async fn first_contacts_are_limited_per_address_also_if_the_devices_come_back() {
    let world = World::with(|config| {
        config.devices.contact_burst = NonZeroU32::new(3).unwrap();
        config.devices.contact_seconds = NonZeroU32::new(10).unwrap();
    })
    .await;
    for id in ["one", "two"] {
        world.device(id, OWN).await;
        world.device(id, OWN).await;
    }
    let reissued = world.device_request("three", None);
    world.connect(&reissued).await;
    let rate = Reason::ConnectionRateExceeded;
    assert_eq!(world.refused(&reissued).await, rate, "a second secret");
    let mut fourth = world.device_request("four", Some(OWN));
    assert_eq!(world.refused(&fourth).await, rate);
    world.device("one", OWN).await;
    fourth.peer = "192.0.2.2:1".parse().unwrap();
    world.connect(&fourth).await;
    world.clock.advance_ms(10_000);
    world.connect(&reissued).await;
    assert_eq!(world.refused(&reissued).await, rate, "one in 10 s");
}

async fn first_contacts_in_all_apps_count_together() {
    let world = World::with(|config| {
        config.devices.passing_per_address = 1;
        config.devices.new_app_registration = Registration::Open;
    })
    .await;
    world.device("phone", OWN).await;
    let app = world.directory.create_app("other").await.unwrap().app_key;
    let mut elsewhere = world.device_request("phone", Some(OWN));
    elsewhere.username = Some(app.as_str().into());
    assert_eq!(world.refused(&elsewhere).await, Reason::QuotaExceeded);
    elsewhere.peer = "192.0.2.2:1".parse().unwrap();
    world.connect(&elsewhere).await;
}

async fn the_demo_app_is_open_and_new_apps_are_closed() {
    let world = World::new().await;
    world.directory.create_app("new").await.unwrap();
    let apps = world.directory.apps().await.unwrap();
    let registrations = |app: &partyline_accounts::AppInfo| (app.name.clone(), app.registration);
    let mut registrations: Vec<_> = apps.iter().map(registrations).collect();
    registrations.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("demo".to_owned(), Registration::Open),
        ("new".to_owned(), Registration::Closed),
    ];
    assert_eq!(registrations, expected);
}

async fn refused_devices_write_nothing_and_are_limited() {
    let world = World::with(|config| {
        config.failures.account_burst = NonZeroU32::new(2).unwrap();
        config.failures.address_burst = NonZeroU32::new(3).unwrap();
    })
    .await;
    world.device("phone", OWN).await;
    world.device("phone", OWN).await;
    world.device("tablet", OWN).await;
    let issued = world.connect(&world.device_request("issued", None)).await;
    world.login(issued.id(), "alice").await.unwrap();
    let before = world.database.commits();
    let wrong = |id| world.device_request(id, Some("another 16 bytes"));
    let (bad, rate) = (
        Reason::BadUserNameOrPassword,
        Reason::ConnectionRateExceeded,
    );
    assert_eq!(world.refused(&wrong("phone")).await, bad);
    let mut sits_on = world.user_request("alice", "phone", "password");
    name_property(&mut sits_on, "device_secret", "another 16 bytes");
    assert_eq!(world.refused(&sits_on).await, bad);
    assert_eq!(world.refused(&wrong("phone")).await, rate, "the device");
    assert_eq!(world.refused(&wrong("issued")).await, bad);
    assert_eq!(world.refused(&wrong("tablet")).await, rate, "the address");
    let password = world.user_request("bobby", "phone", "password");
    assert_eq!(world.refused(&password).await, rate, "also for passwords");
    assert_eq!(world.database.commits(), before);
    // Its own secret always lets a device in.
    world.device("phone", OWN).await;
}

async fn secrets_are_stored_hashed() {
    let world = World::new().await;
    let app = &world.app.app_key;
    let token = Registration::Token;
    let registration = world.directory.set_registration(app, token).await;
    let registration = registration.unwrap().unwrap();
    let chosen = "a password of her own";
    let alice = user("alice");
    let set = world.directory.set_password(app, &alice, Some(chosen));
    set.await.unwrap();
    let mut request = world.device_request("phone", Some(OWN));
    name_property(&mut request, "registration_token", registration.expose());
    let own = world.connect(&request).await;
    let login = json!({ "username": "alice", "password": chosen });
    let login: LoggedIn = world
        .command(own.id(), names::SESSION_LOGIN, login)
        .await
        .unwrap();
    let issued = world.device_request("issued", Some(registration.expose()));
    let issued = world.connect(&issued).await.notice.device_secret.unwrap();

    let stored = contents(&world.database).await.to_lowercase();
    let holds = |text: &str| {
        // Binary columns are shown in hexadecimal digits.
        let digits = text.bytes().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        stored.contains(&text.to_lowercase()) || stored.contains(&digits)
    };
    assert!(holds("alice") && holds(own.registration().as_str()) && holds("$argon2id$"));
    for secret in [
        chosen,
        OWN,
        registration.expose(),
        issued.expose(),
        login.token.unwrap().expose(),
        world.app.master_secret.expose(),
    ] {
        assert!(!holds(secret), "{secret}");
    }
}

async fn a_closed_app_registers_no_devices_but_its_users_connect() {
    let world = World::new().await;
    world.device("known", OWN).await;
    let app = &world.app.app_key;
    world
        .directory
        .set_registration(app, Registration::Closed)
        .await
        .unwrap();
    for secret in [Some(OWN), None] {
        let request = world.device_request("phone", secret);
        assert_eq!(world.refused(&request).await, Reason::NotAuthorized);
    }
    world.device("known", OWN).await;
    world.user("alice", "phone").await;
}

async fn registration_by_token_needs_the_apps_own() {
    let world = World::new().await;
    let app = &world.app.app_key;
    let old = world
        .directory
        .set_registration(app, Registration::Token)
        .await
        .unwrap()
        .unwrap();
    let token = world
        .directory
        .set_registration(app, Registration::Token)
        .await
        .unwrap()
        .unwrap();
    let mut request = world.device_request("phone", Some(OWN));
    assert_eq!(world.refused(&request).await, Reason::NotAuthorized);
    name_property(&mut request, "registration_token", old.expose());
    assert_eq!(world.refused(&request).await, Reason::NotAuthorized);
    request.user_properties.clear();
    name_property(&mut request, "registration_token", token.expose());
    world.connect(&request).await;
    // Known from now on, by its secret alone.
    world.device("phone", OWN).await;

    // 3.1.1 brings it as the password and is issued a secret.
    let by_password = world.device_request("plain", Some(token.expose()));
    let secret = world
        .connect(&by_password)
        .await
        .notice
        .device_secret
        .unwrap();
    world.device("plain", secret.expose()).await;
    assert_eq!(
        world.refused(&by_password).await,
        Reason::BadUserNameOrPassword
    );
}
