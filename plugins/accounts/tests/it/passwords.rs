//! Passwords: what they tell, what they cost, how often they may be wrong.

use std::num::NonZeroU32;

use partyline_plugin::{AuthVerdict, Reason};
use partyline_protocol::{ErrorCode, names};

use crate::support::{World, database, user};

crate::support::database::on_both! {
    an_unknown_user_and_a_wrong_password_look_the_same,
    disabled_shows_only_after_a_right_password,
    failures_are_limited_per_account_before_hashing,
    unknown_accounts_are_limited_like_known_ones,
    failures_are_limited_per_address_and_tokens_pass,
    passwords_wait_in_a_bounded_queue_that_tokens_never_enter,
    an_unknown_user_takes_a_place_in_the_queue_like_a_wrong_password,
    wrong_passwords_side_by_side_do_not_pass_the_limit,
    right_passwords_and_impossible_ones_do_not_count,
    a_kicked_phone_that_comes_back_by_itself_soon_costs_no_hash,
    a_password_is_stored_at_the_present_cost_once_it_is_proven,
    a_wrong_token_is_no_wrong_password,
}

async fn an_unknown_user_and_a_wrong_password_look_the_same() {
    let world = World::new().await;
    let unknown = world
        .refusal(&world.user_request("nobody", "phone", "password"))
        .await;
    let wrong = world
        .refusal(&world.user_request("alice", "phone", "passw0rd"))
        .await;
    assert_eq!(unknown, wrong);
    assert_eq!(wrong.reason, Reason::BadUserNameOrPassword);
    let no_password = world.request("/alice", "phone", None);
    assert_eq!(
        world.refused(&no_password).await,
        Reason::BadUserNameOrPassword
    );
    let phone = world.device("phone", "sixteen bytes ok").await;
    assert_eq!(
        world.login(phone.id(), "nobody").await,
        Err(ErrorCode::InvalidPassword)
    );
}

async fn disabled_shows_only_after_a_right_password() {
    let world = World::new().await;
    let token = world.user("alice", "phone").await.token();
    world
        .directory
        .disable_user(&world.app.app_key, &user("alice"))
        .await
        .unwrap();
    let refused = |password| {
        let request = world.user_request("alice", "phone", password);
        let world = &world;
        async move { world.refused(&request).await }
    };
    assert_eq!(refused("wrong one").await, Reason::BadUserNameOrPassword);
    assert_eq!(refused("password").await, Reason::NotAuthorized);
    // The token was revoked, so it proves nothing.
    assert_eq!(refused(&token).await, Reason::BadUserNameOrPassword);
    let device = world.device("device", "sixteen bytes ok").await;
    assert_eq!(
        world.login(device.id(), "alice").await,
        Err(ErrorCode::UserDisabled)
    );
}

async fn failures_are_limited_per_account_before_hashing() {
    let world = World::with(|config| config.failures.account_burst = burst(3)).await;
    let wrong = world.user_request("alice", "phone", "wrong one");
    for _ in 0..3 {
        assert_eq!(world.refused(&wrong).await, Reason::BadUserNameOrPassword);
    }
    let mut right = world.user_request("alice", "phone", "password");
    right.peer = "192.0.2.9:1".parse().unwrap();
    assert_eq!(
        world.refused(&right).await,
        Reason::ConnectionRateExceeded,
        "from anywhere"
    );
    let device = world.device("device", "sixteen bytes ok").await;
    assert_eq!(
        world.login(device.id(), "alice").await,
        Err(ErrorCode::FrequencyLimit)
    );
    world.user("bobby", "phone").await;
    world.clock.advance_ms(60_000);
    world.connect(&right).await;
}

async fn unknown_accounts_are_limited_like_known_ones() {
    let world = World::with(|config| config.failures.account_burst = burst(1)).await;
    let nobody = world.user_request("nobody", "phone", "password");
    assert_eq!(world.refused(&nobody).await, Reason::BadUserNameOrPassword);
    assert_eq!(world.refused(&nobody).await, Reason::ConnectionRateExceeded);
}

async fn failures_are_limited_per_address_and_tokens_pass() {
    let world = World::with(|config| config.failures.address_burst = burst(2)).await;
    let token = world.user("alice", "phone").await.token();
    for name in ["nobody-1", "nobody-2"] {
        world
            .refused(&world.user_request(name, "phone", "password"))
            .await;
    }
    let request = world.user_request("bobby", "phone", "password");
    assert_eq!(
        world.refused(&request).await,
        Reason::ConnectionRateExceeded
    );
    world
        .connect(&world.user_request("alice", "phone", &token))
        .await;
}

async fn passwords_wait_in_a_bounded_queue_that_tokens_never_enter() {
    let world = World::with(|config| {
        config.passwords.at_once = 1;
        config.passwords.queue = 0;
        // So long that both have been looked up before the first hash is done.
        config.passwords.memory_kib = 65_536;
        config.passwords.passes = 10;
    })
    .await;
    let token = world.user("alice", "phone").await.token();
    let [one, two] = ["one", "two"].map(|id| world.user_request("alice", id, "password"));
    let by_token = world.user_request("alice", "phone", &token);
    let (one, two, by_token) =
        tokio::join!(world.judge(&one), world.judge(&two), world.judge(&by_token));
    let busy = |verdict: &AuthVerdict| match verdict {
        AuthVerdict::Deny(refusal) => refusal.reason == Reason::ServerBusy,
        _ => false,
    };
    assert!(busy(&one) != busy(&two), "{one:?} {two:?}");
    assert!(matches!(by_token, AuthVerdict::Allow(_)), "{by_token:?}");
}

async fn an_unknown_user_takes_a_place_in_the_queue_like_a_wrong_password() {
    let world = World::with(|config| {
        config.passwords.at_once = 1;
        config.passwords.queue = 0;
        // So long that both have been looked up before the first hash is done.
        config.passwords.memory_kib = 65_536;
        config.passwords.passes = 10;
    })
    .await;
    for name in ["alice", "nobody"] {
        let [one, two] = ["one", "two"].map(|id| world.user_request(name, id, "wrong one"));
        let (one, two) = tokio::join!(world.refused(&one), world.refused(&two));
        let mut answers = [one, two];
        answers.sort_unstable_by_key(|reason| reason.code());
        let expected = [Reason::BadUserNameOrPassword, Reason::ServerBusy];
        assert_eq!(answers, expected, "{name}");
    }
}

async fn wrong_passwords_side_by_side_do_not_pass_the_limit() {
    let world = World::with(|config| config.failures.account_burst = burst(3)).await;
    let wrong = world.user_request("alice", "phone", "wrong one");
    let answers = futures_util::future::join_all((0..20).map(|_| world.refused(&wrong))).await;
    let count = |reason| answers.iter().filter(|answer| **answer == reason).count();
    assert_eq!(count(Reason::BadUserNameOrPassword), 3);
    assert_eq!(count(Reason::ConnectionRateExceeded), 17);
    // And leave no debt beyond the burst.
    world.clock.advance_ms(20_000);
    assert_eq!(world.refused(&wrong).await, Reason::BadUserNameOrPassword);
}

async fn right_passwords_and_impossible_ones_do_not_count() {
    let world = World::with(|config| {
        config.failures.account_burst = burst(1);
        config.failures.address_burst = burst(1);
    })
    .await;
    for _ in 0..3 {
        world.user("alice", "phone").await;
        let short = world.user_request("alice", "phone", "abc");
        assert_eq!(world.refused(&short).await, Reason::BadUserNameOrPassword);
    }
}

async fn a_kicked_phone_that_comes_back_by_itself_soon_costs_no_hash() {
    let world = World::with(|config| config.failures.account_burst = burst(3)).await;
    let phone = world.user_request("alice", "phone", "password");
    let desk = world.user("alice", "desk").await;
    let kicked = world.connect(&phone).await;
    let kick = serde_json::json!({ "registration_id": kicked.registration() });
    let kick = world.command::<partyline_protocol::Done>(desk.id(), names::SESSION_KICK, kick);
    kick.await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.refused(&phone).await, Reason::Banned);
    }
    assert_eq!(world.refused(&phone).await, Reason::ConnectionRateExceeded);
    // Nobody else is hit, and the tap of the user helps at once.
    world.user("alice", "desk").await;
    world.user("bobby", "phone").await;
    let device = world.device("phone", "sixteen bytes ok").await;
    world.login(device.id(), "alice").await.unwrap();
    world.clock.advance_ms(60_000);
    world.connect(&phone).await;
}

async fn a_password_is_stored_at_the_present_cost_once_it_is_proven() {
    let world = World::new().await;
    let mut config = partyline_accounts::Config::for_test();
    config.passwords.passes = 3;
    let (database, clock) = (world.database.clone(), world.clock.clone());
    let other = partyline_accounts::Directory::new(database, clock, config).unwrap();
    let (app, alice) = (&world.app.app_key, user("alice"));
    other
        .set_password(app, &alice, Some("password"))
        .await
        .unwrap();
    let cost = async || {
        let phc = "SELECT password_phc FROM accounts_user WHERE username = 'alice'";
        let phc = database::text(&world.database, phc).await;
        phc.split('$').nth(3).map(str::to_owned)
    };
    assert_eq!(cost().await.as_deref(), Some("m=8,t=3,p=1"));
    world
        .refused(&world.user_request("alice", "phone", "wrong one"))
        .await;
    assert_eq!(cost().await.as_deref(), Some("m=8,t=3,p=1"));
    world.user("alice", "phone").await;
    assert_eq!(cost().await.as_deref(), Some("m=8,t=1,p=1"));
    world.user("alice", "phone").await;
}

async fn a_wrong_token_is_no_wrong_password() {
    let world = World::with(|config| config.failures.account_burst = burst(1)).await;
    for wrong in ["plt_wrong", "plt_"] {
        let request = world.user_request("alice", "phone", wrong);
        assert_eq!(world.refused(&request).await, Reason::BadUserNameOrPassword);
    }
    world.user("alice", "phone").await;
}

fn burst(failures: u32) -> NonZeroU32 {
    NonZeroU32::new(failures).unwrap()
}
