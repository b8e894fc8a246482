//! Passwords: what they tell, what they cost, how often they may be wrong.

use std::num::NonZeroU32;

use partyline_plugin::{AuthVerdict, Reason};
use partyline_protocol::ErrorCode;

use crate::support::{World, user};

#[tokio::test]
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

#[tokio::test]
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

#[tokio::test]
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

#[tokio::test]
async fn unknown_accounts_are_limited_like_known_ones() {
    let world = World::with(|config| config.failures.account_burst = burst(1)).await;
    let nobody = world.user_request("nobody", "phone", "password");
    assert_eq!(world.refused(&nobody).await, Reason::BadUserNameOrPassword);
    assert_eq!(world.refused(&nobody).await, Reason::ConnectionRateExceeded);
}

#[tokio::test]
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

#[tokio::test]
async fn passwords_wait_in_a_bounded_queue_that_tokens_never_enter() {
    let world = World::with(|config| {
        config.passwords.at_once = 1;
        config.passwords.queue = 0;
        config.passwords.memory_kib = 65_536;
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

#[tokio::test]
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
