//! Most libraries reconnect by themselves: two phones of one user would kick each other for ever.

use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, Packet, RawClient, Version};
use serde_json::{Value, json};

use crate::chat::library::Library;
use crate::chat::stage::{hears_nothing, say, server, user};

fn phone(server: &Server, device: &str) -> ConnectOptions {
    let options = server.user(Version::V5, "alice", device);
    options.user_property("platform", "android")
}

async fn refusal(server: &Server, options: &ConnectOptions) -> anyhow::Result<u8> {
    let address = server.addresses().mqtt.parse()?;
    let mut client = RawClient::open(address, options.version).await?;
    Ok(client.connect(options).await?.code)
}

crate::chat::stage::on_both! {
    an_older_phone_is_told_and_then_refused_instead_of_kicking_back,
    an_older_phone_on_mqtt_3_1_1_gets_a_notice_and_is_closed,
    login_on_the_devices_own_connection_ends_the_refusal,
    the_refusal_is_of_one_user_on_one_device,
    phones_that_reconnect_by_themselves_do_not_fight,
}

async fn an_older_phone_is_told_and_then_refused_instead_of_kicking_back() -> anyhow::Result<()> {
    let server = server().await?;
    let mut older = server.connect(&phone(&server, "older")).await?;
    let notice = older.publish_on("$session").await?.json()?;
    let mut newer = server.connect(&phone(&server, "newer")).await?;
    let (reason, text) = older
        .wait_for("DISCONNECT", |packet| match packet {
            Packet::Disconnect(reason, properties) => {
                Some((*reason, properties.get(0x1f).cloned()))
            }
            _ => None,
        })
        .await?;
    let text = text.unwrap_or_default();
    assert_eq!((reason, text.get(2..)), (0x98, Some(&b"new_login"[..])));
    older.closed().await?;

    let password = phone(&server, "older");
    let token = notice["token"].as_str().unwrap_or_default().to_owned();
    let name = format!("{}/alice", server.app);
    let token = ConnectOptions::new(Version::V5, "alice-older").login(name, token);
    for _ in 0..3 {
        assert_eq!(refusal(&server, &password).await?, 0x8a);
        assert_eq!(refusal(&server, &token).await?, 0x8a);
    }
    say(&mut newer, "bobby", "still here").await?;
    server.discard().await
}

async fn an_older_phone_on_mqtt_3_1_1_gets_a_notice_and_is_closed() -> anyhow::Result<()> {
    let server = server().await?;
    let options = server.user(Version::V311, "alice", "older");
    let mut older = server.connect(&options).await?;
    older.publish_on("$session").await?;
    // 3.1.1 has nowhere to name its platform but here.
    let login = json!({"username": "alice", "password": "alice-password", "platform": "ios"});
    older.ok("$im/session/login", &login).await?;
    server.connect(&phone(&server, "newer")).await?;
    let notice = older.publish_on("$session").await?.json()?;
    let kicked = json!({"reason": "new_login", "code": 0x98});
    assert_eq!(notice["kicked"], kicked);
    assert_eq!(notice["username"], "alice");
    older.closed().await?;
    assert_eq!(refusal(&server, &options).await?, 5);
    server.discard().await
}

async fn login_on_the_devices_own_connection_ends_the_refusal() -> anyhow::Result<()> {
    let server = server().await?;
    let open = ["app", "registration", &server.app, "open"];
    server.cli(&open, None).await?;
    let device = ConnectOptions::new(Version::V311, "alice-older")
        .login(server.app.clone(), "0123456789abcdef");
    let login: Value =
        json!({"username": "alice", "password": "alice-password", "platform": "ios"});
    let mut older = server.connect(&device).await?;
    older.ok("$im/session/login", &login).await?;
    let mut newer = server.connect(&phone(&server, "newer")).await?;
    older.closed().await?;
    // As a device it may come back at once; the user has to say so again.
    let mut older = server.connect(&device).await?;
    older.ok("$im/session/login", &login).await?;
    assert_eq!(newer.disconnected().await?, 0x98);
    assert_eq!(refusal(&server, &phone(&server, "newer")).await?, 0x8a);
    say(&mut older, "bobby", "back").await?;
    server.discard().await
}

async fn the_refusal_is_of_one_user_on_one_device() -> anyhow::Result<()> {
    let server = server().await?;
    let mut older = server.connect(&phone(&server, "older")).await?;
    let _newer = server.connect(&phone(&server, "newer")).await?;
    assert_eq!(older.disconnected().await?, 0x98);
    // The same user from elsewhere, another user from the same device.
    user(&server, "alice", "third").await?;
    let mut bobby = server.user(Version::V5, "bobby", "phone");
    bobby.client_id = "alice-older".to_owned();
    let mut bobby = server.connect(&bobby).await?;
    hears_nothing(&mut bobby).await?;
    assert_eq!(refusal(&server, &phone(&server, "older")).await?, 0x8a);
    server.discard().await
}

async fn phones_that_reconnect_by_themselves_do_not_fight() -> anyhow::Result<()> {
    let server = server().await?;
    for (number, library) in [Library::Paho(Version::V5), Library::MqttJs(Version::V5)]
        .iter()
        .enumerate()
    {
        let start = |device: &str| {
            let mut login = library.login(&server, "alice", device)?;
            login.properties = vec![("platform".to_owned(), "android".to_owned())];
            login.reconnect = true;
            library.start(login)
        };
        let mut older = start(&format!("older-{number}"))?;
        older.admitted().await?;
        let mut newer = start(&format!("newer-{number}"))?;
        newer.admitted().await?;
        assert_eq!(older.disconnected().await?, 0x98);
        assert_eq!(older.connack().await?, 0x8a, "it came back and was refused");
        let (devices, _) = newer.request("$im/session/devices", &json!({})).await?;
        let devices = devices["ok"]["devices"].as_array().map_or(0, Vec::len);
        assert_eq!(devices, 1, "the newer one stays, alone");
        newer.leave().await?;
    }
    server.discard().await
}
