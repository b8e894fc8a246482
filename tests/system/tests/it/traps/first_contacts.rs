//! The answer to a device's first CONNECT may get lost, and with it the secret.

use partyline_system_tests::{Server, password_of};
use partyline_testkit::{ConnAck, ConnectOptions, RawClient, Version};
use serde_json::{Value, json};

use crate::chat::stage::{VERSIONS, server};

const OWN_SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn open_server() -> anyhow::Result<Server> {
    let server = server().await?;
    let open = ["app", "registration", &server.app, "open"];
    server.cli(&open, None).await?;
    Ok(server)
}

fn device(server: &Server, version: Version, secret: Option<&str>) -> ConnectOptions {
    let mut options = ConnectOptions::new(version, format!("device-{version:?}"));
    options.username = Some(server.app.clone());
    options.password = secret.map(|secret| secret.to_owned().into());
    options
}

async fn connect(
    server: &Server,
    options: &ConnectOptions,
) -> anyhow::Result<(RawClient, ConnAck)> {
    let address = server.addresses().mqtt.parse()?;
    let mut client = RawClient::open(address, options.version).await?;
    let connack = client.connect(options).await?;
    Ok((client, connack))
}

/// Lets a device in and returns its notice.
async fn admitted(server: &Server, options: &ConnectOptions) -> anyhow::Result<Value> {
    let (mut client, connack) = connect(server, options).await?;
    assert_eq!(connack.code, 0);
    let notice = client.publish_on("$session").await?.json()?;
    client.disconnect(0).await?;
    Ok(notice)
}

fn bad_password(version: Version) -> u8 {
    if version == Version::V5 { 0x86 } else { 4 }
}

crate::chat::stage::on_both! {
    a_first_contact_with_an_own_secret_can_be_repeated,
    an_issued_secret_can_be_replaced_until_it_was_used_once,
    guessing_the_client_id_of_a_device_with_a_user_takes_over_nothing,
    mqtt_5_has_the_secret_in_its_connack_too,
    the_notice_comes_again_to_whoever_subscribes_to_it,
}

async fn a_first_contact_with_an_own_secret_can_be_repeated() -> anyhow::Result<()> {
    let server = open_server().await?;
    for version in VERSIONS {
        let options = device(&server, version, Some(OWN_SECRET));
        // Nobody reads the answer.
        let (client, _) = connect(&server, &options).await?;
        drop(client);
        let first = admitted(&server, &options).await?;
        let again = admitted(&server, &options).await?;
        assert_eq!(first["registration_id"], again["registration_id"]);
        assert!(first["registration_id"].is_string());
        assert_eq!(again.get("device_secret"), None, "it has one");
        let other = device(
            &server,
            version,
            Some("another secret, as long as it takes"),
        );
        let (_, refused) = connect(&server, &other).await?;
        assert_eq!(refused.code, bad_password(version));
    }
    server.discard().await
}

async fn an_issued_secret_can_be_replaced_until_it_was_used_once() -> anyhow::Result<()> {
    let server = open_server().await?;
    for version in VERSIONS {
        let without = device(&server, version, None);
        let lost = admitted(&server, &without).await?;
        let kept = admitted(&server, &without).await?;
        // Another may have guessed the client id: it gets a device of its own.
        for name in ["registration_id", "device_secret"] {
            assert_ne!(lost[name], kept[name]);
        }
        let secret = kept["device_secret"].as_str();
        assert!(secret.is_some_and(|secret| secret.len() >= 22), "128 bits");

        let back = admitted(&server, &device(&server, version, secret)).await?;
        assert_eq!(back["registration_id"], kept["registration_id"]);
        assert_eq!(back.get("device_secret"), None);
        // From now on there is no way without it.
        for options in [
            without,
            device(&server, version, lost["device_secret"].as_str()),
        ] {
            let (_, refused) = connect(&server, &options).await?;
            assert_eq!(refused.code, bad_password(version));
        }
    }
    server.discard().await
}

async fn guessing_the_client_id_of_a_device_with_a_user_takes_over_nothing() -> anyhow::Result<()> {
    let server = open_server().await?;
    for version in VERSIONS {
        let without = device(&server, version, None);
        let (mut phone, _) = connect(&server, &without).await?;
        let notice = phone.publish_on("$session").await?.json()?;
        let login = json!({"username": "alice", "password": password_of("alice")});
        phone.ok("$im/session/login", &login).await?;
        for secret in [None, Some(OWN_SECRET)] {
            let (_, refused) = connect(&server, &device(&server, version, secret)).await?;
            assert_eq!(refused.code, bad_password(version));
        }
        let devices = phone.ok("$im/session/devices", &json!({})).await?;
        let devices = devices["devices"].as_array().map(Vec::as_slice);
        let online = |device: &&Value| device["online"] == true;
        let mut online = devices.unwrap_or_default().iter().filter(online);
        let here = online.next().map(|device| &device["registration_id"]);
        assert_eq!(here, Some(&notice["registration_id"]));

        // Once nobody is logged in, the guesser gets another device, without the old one's session.
        assert!(phone.subscribe(&[("$session", 0)]).await?[0] < 0x80);
        phone.ok("$im/session/logout", &json!({})).await?;
        let guesser = admitted(&server, &without).await?;
        assert_ne!(guesser["registration_id"], notice["registration_id"]);
        assert_eq!(guesser.get("username"), None);
    }
    server.discard().await
}

async fn mqtt_5_has_the_secret_in_its_connack_too() -> anyhow::Result<()> {
    let server = open_server().await?;
    let options = device(&server, Version::V5, None);
    let (mut client, connack) = connect(&server, &options).await?;
    let notice = client.publish_on("$session").await?.json()?;
    for name in ["registration_id", "device_secret"] {
        let property = connack.properties.user(name);
        assert!(property.is_some(), "no {name} in {connack:?}");
        assert_eq!(property.as_deref(), notice[name].as_str());
    }
    server.discard().await
}

async fn the_notice_comes_again_to_whoever_subscribes_to_it() -> anyhow::Result<()> {
    let server = open_server().await?;
    let (mut client, _) = connect(&server, &device(&server, Version::V311, None)).await?;
    let mut first = client.publish_on("$session").await?.json()?;
    assert!(client.subscribe(&[("$session", 0)]).await?[0] < 0x80);
    let mut again = client.publish_on("$session").await?.json()?;
    assert!(first["server_time"].as_u64() <= again["server_time"].as_u64());
    for notice in [&mut first, &mut again] {
        notice["server_time"] = Value::Null;
    }
    assert_eq!(
        first, again,
        "the secret too: the first may have had no handler"
    );
    server.discard().await
}
