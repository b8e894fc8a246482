//! What a wrong CONNECT gives away, and what not.

use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, Version};

use super::entrance::{code, knock, service};
use crate::chat::stage::{VERSIONS, server, server_with};

fn login(server: &Server, version: Version, name: &str, password: &str) -> ConnectOptions {
    let username = format!("{}/{name}", server.app);
    ConnectOptions::new(version, "phone").login(username, password.to_owned())
}

crate::chat::stage::on_both! {
    an_unknown_user_and_a_wrong_password_look_the_same,
    disabled_shows_only_after_the_right_password,
    failures_of_an_account_are_limited_before_hashing,
    a_server_needs_the_master_secret_of_now,
}

async fn an_unknown_user_and_a_wrong_password_look_the_same() -> anyhow::Result<()> {
    let server = server().await?;
    for (version, expected) in VERSIONS.into_iter().zip([4, 0x86]) {
        let wrong = knock(&server, &login(&server, version, "alice", "wrong-password"))
            .await?
            .1;
        assert_eq!(wrong.code, expected);
        for name in ["nobody-there", "al", "$Service", "alice/x", "-alice"] {
            let unknown = login(&server, version, name, "wrong-password");
            assert_eq!(knock(&server, &unknown).await?.1, wrong, "{name}");
        }
        let other_app = ConnectOptions::new(version, "phone")
            .login(format!("{}/alice", "a".repeat(24)), "alice-password");
        assert_eq!(knock(&server, &other_app).await?.1, wrong);
        let mut nothing = login(&server, version, "alice", "");
        assert_eq!(knock(&server, &nothing).await?.1, wrong);
        nothing.password = None;
        assert_eq!(knock(&server, &nothing).await?.1, wrong);
    }
    server.discard().await
}

async fn disabled_shows_only_after_the_right_password() -> anyhow::Result<()> {
    let server = server().await?;
    let disable = ["user", "disable", &server.app, "alice"];
    server.cli(&disable, None).await?;
    for (version, wrong, disabled) in [(Version::V311, 4, 5), (Version::V5, 0x86, 0x87)] {
        let options = login(&server, version, "alice", "wrong-password");
        assert_eq!(code(&server, &options).await?, wrong);
        let options = login(&server, version, "alice", "alice-password");
        assert_eq!(code(&server, &options).await?, disabled);
    }
    let enable = ["user", "enable", &server.app, "alice"];
    server.cli(&enable, None).await?;
    let options = login(&server, Version::V5, "alice", "alice-password");
    assert_eq!(code(&server, &options).await?, 0);
    server.discard().await
}

async fn failures_of_an_account_are_limited_before_hashing() -> anyhow::Result<()> {
    let config = "[plugins.accounts.failures]\naccount_burst = 3\naccount_seconds = 3600\n";
    let server = server_with(config).await?;
    for name in ["alice", "nobody-there"] {
        let wrong = login(&server, Version::V5, name, "wrong-password");
        for _ in 0..3 {
            assert_eq!(code(&server, &wrong).await?, 0x86, "{name}");
        }
        assert_eq!(code(&server, &wrong).await?, 0x9f, "{name}");
    }
    // Not even the right one, and nobody else is hit.
    let right = login(&server, Version::V5, "alice", "alice-password");
    assert_eq!(code(&server, &right).await?, 0x9f);
    let bobby = login(&server, Version::V5, "bobby", "bobby-password");
    assert_eq!(code(&server, &bobby).await?, 0);
    server.discard().await
}

async fn a_server_needs_the_master_secret_of_now() -> anyhow::Result<()> {
    let server = server().await?;
    let old = service(&server, "backend");
    let wrong = login(&server, Version::V5, "$service", "not the master secret");
    assert_eq!(code(&server, &wrong).await?, 0x86);
    let mut backend = server.connect(&old).await?;
    let rotate = ["app", "rotate", &server.app];
    let rotated = server.cli(&rotate, None).await?;
    assert_eq!(
        backend.disconnected().await?,
        0x98,
        "while it was connected"
    );
    assert_eq!(code(&server, &old).await?, 0x86);
    let new = rotated["master_secret"].as_str().unwrap_or_default();
    let new = login(&server, Version::V5, "$service", new);
    assert_eq!(code(&server, &new).await?, 0);
    server.discard().await
}
