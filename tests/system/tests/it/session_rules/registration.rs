//! Who may register devices: open, token or closed.

use anyhow::Context;
use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, PATIENCE, Version};

use super::entrance::{code, device, enter, open_server, open_server_with};
use crate::chat::stage::server;

async fn policy(server: &Server, policy: &str) -> anyhow::Result<String> {
    let set = ["app", "registration", &server.app, policy];
    let done = server.cli(&set, None).await?;
    Ok(done["registration_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// Changes of other processes are seen a moment later: first contacts, each of a new device, until
/// one is answered like this.
async fn until_answered(server: &Server, name: &str, expected: u8) -> anyhow::Result<()> {
    let answered = async {
        for number in 0.. {
            let contact = device(server, &format!("{name}-{number}"));
            if code(server, &contact).await? == expected {
                break;
            }
        }
        Ok(())
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    answered.with_context(|| format!("no first contact is answered with {expected:#04x}"))?
}

crate::chat::stage::on_both! {
    a_closed_app_takes_no_new_devices,
    a_token_app_takes_devices_that_bring_the_token,
    a_devices_own_secret_has_128_bits,
    an_address_registers_a_limited_number_of_passing_devices,
}

async fn a_closed_app_takes_no_new_devices() -> anyhow::Result<()> {
    let server = server().await?;
    assert_eq!(
        code(&server, &device(&server, "kiosk")).await?,
        0x87,
        "as new apps are"
    );
    policy(&server, "open").await?;
    until_answered(&server, "early", 0).await?;
    enter(&server, &device(&server, "kiosk")).await?;
    policy(&server, "closed").await?;
    until_answered(&server, "late", 0x87).await?;
    enter(&server, &device(&server, "kiosk")).await?;
    // Users bring their own devices.
    enter(&server, &server.user(Version::V5, "alice", "phone")).await?;
    server.discard().await
}

async fn a_token_app_takes_devices_that_bring_the_token() -> anyhow::Result<()> {
    let server = server().await?;
    let token = policy(&server, "token").await?;
    assert_eq!(code(&server, &device(&server, "kiosk")).await?, 0x87);
    let wrong = device(&server, "kiosk").user_property("registration_token", "plr_wrong");
    assert_eq!(code(&server, &wrong).await?, 0x87);
    let right = device(&server, "kiosk").user_property("registration_token", &token);
    enter(&server, &right).await?;
    // 3.1.1 has only its password for it, and gets a secret.
    let old = ConnectOptions::new(Version::V311, "old").login(server.app.clone(), token);
    let (_old, notice) = enter(&server, &old).await?;
    assert!(notice["device_secret"].is_string(), "{notice}");
    server.discard().await
}

async fn a_devices_own_secret_has_128_bits() -> anyhow::Result<()> {
    let server = open_server().await?;
    for (secret, expected) in [("0123456789abcde", 0x86), ("0123456789abcdef", 0)] {
        let options = ConnectOptions::new(Version::V5, "kiosk").login(server.app.clone(), secret);
        assert_eq!(code(&server, &options).await?, expected, "{secret}");
    }
    server.discard().await
}

async fn an_address_registers_a_limited_number_of_passing_devices() -> anyhow::Result<()> {
    let config = "[plugins.accounts.devices]\npassing_per_address = 2\n";
    let server = open_server_with(config).await?;
    for name in ["one", "two"] {
        enter(&server, &device(&server, name)).await?;
    }
    assert_eq!(code(&server, &device(&server, "three")).await?, 0x97);
    // One that comes back with its secret is there to stay, and counts no more.
    enter(&server, &device(&server, "one")).await?;
    enter(&server, &device(&server, "three")).await?;
    server.discard().await
}

#[tokio::test]
async fn first_contacts_of_an_address_are_limited_even_if_the_devices_come_back()
-> anyhow::Result<()> {
    let config = "[plugins.accounts.devices]\ncontact_burst = 3\ncontact_seconds = 3600\n";
    let server = open_server_with(config).await?;
    for name in ["one", "two"] {
        enter(&server, &device(&server, name)).await?;
        enter(&server, &device(&server, name)).await?;
    }
    let without = ConnectOptions::new(Version::V5, "three").login(server.app.clone(), "");
    enter(&server, &without).await?;
    // Asking for another secret is a first contact too.
    assert_eq!(code(&server, &without).await?, 0x9f);
    assert_eq!(code(&server, &device(&server, "four")).await?, 0x9f);
    enter(&server, &device(&server, "one")).await?;
    server.discard().await
}
