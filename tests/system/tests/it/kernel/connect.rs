//! CONNECT that is let in, and what its CONNACK says.

use partyline_system_tests::{APP, OTHER_APP, OpenDoor};
use partyline_testkit::{ConnAck, ConnectOptions, Packet, TestBroker, Version};
use serde_json::json;

use super::property::{
    ASSIGNED_CLIENT_ID, MAXIMUM_PACKET_SIZE, RECEIVE_MAXIMUM, REQUEST_RESPONSE_INFORMATION,
    RESPONSE_INFORMATION, SERVER_KEEP_ALIVE, SESSION_EXPIRY, SHARED_SUBSCRIPTIONS_AVAILABLE,
    SUBSCRIPTION_IDS_AVAILABLE, TOPIC_ALIAS_MAXIMUM,
};
use super::{VERSIONS, broker, broker_with, client, connect, kept, tells_presence};

fn two_bytes(connack: &ConnAck, id: u8) -> Option<u16> {
    let value = connack.properties.get(id)?;
    Some(u16::from_be_bytes(value[..].try_into().expect("two bytes")))
}

fn four_bytes(connack: &ConnAck, id: u8) -> Option<u32> {
    let value = connack.properties.get(id)?;
    Some(u32::from_be_bytes(
        value[..].try_into().expect("four bytes"),
    ))
}

#[tokio::test]
async fn connack_names_the_limits_and_what_is_not_offered() {
    let broker = broker_with(|config| config.limits.in_flight = 7).await;
    let (_client, connack) = connect(&broker, &ConnectOptions::new(Version::V5, "one")).await;
    assert_eq!((connack.code, connack.session_present), (0, false));
    assert_eq!(two_bytes(&connack, RECEIVE_MAXIMUM), Some(7));
    assert_eq!(four_bytes(&connack, MAXIMUM_PACKET_SIZE), Some(256 * 1024));
    let flag = |id| connack.properties.get(id).map(|value| value[0]);
    // Without them, they are available.
    assert_eq!(flag(SUBSCRIPTION_IDS_AVAILABLE), None);
    assert_eq!(flag(SHARED_SUBSCRIPTIONS_AVAILABLE), None);
    assert_eq!(two_bytes(&connack, TOPIC_ALIAS_MAXIMUM), Some(16));
    assert_eq!(connack.properties.get(ASSIGNED_CLIENT_ID), None);
    assert_eq!(connack.properties.user("door").as_deref(), Some("open"));
    broker.stop().await;
}

#[tokio::test]
async fn an_empty_client_id_is_assigned_in_mqtt_5_and_said() {
    let broker = broker().await;
    let mut given = Vec::new();
    for clean in [true, false] {
        let mut options = ConnectOptions::new(Version::V5, "");
        options.clean = clean;
        let (mut client, connack) = connect(&broker, &options).await;
        assert_eq!(connack.code, 0, "clean start {clean}");
        given.extend(connack.properties.text(ASSIGNED_CLIENT_ID));
        client.ping().await.unwrap();
    }
    assert_eq!(given.len(), 2);
    assert_ne!(given[0], given[1]);
    broker.stop().await;
}

#[tokio::test]
async fn an_assigned_client_id_resumes_its_session() {
    let broker = broker().await;
    let (client, connack) = connect(
        &broker,
        &ConnectOptions::new(Version::V5, "").persistent(60),
    )
    .await;
    let id = connack
        .properties
        .text(ASSIGNED_CLIENT_ID)
        .expect("an id is assigned");
    client.disconnect(0).await.unwrap();
    let (_client, connack) = connect(
        &broker,
        &ConnectOptions::new(Version::V5, id).persistent(60),
    )
    .await;
    assert!(connack.session_present);
    broker.stop().await;
}

#[tokio::test]
async fn an_empty_client_id_is_let_in_by_311_with_a_clean_session() {
    let broker = broker().await;
    let mut first = client(&broker, Version::V311, "").await;
    let mut second = client(&broker, Version::V311, "").await;
    // Two of them are two sessions.
    first.quiet().await.unwrap();
    second.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn server_keep_alive_is_said_when_it_is_not_the_clients_own() {
    for (ours, asked, said) in [
        (0, 60, None),
        (0, 0, Some(1800)),
        (0, 3600, Some(1800)),
        (30, 60, Some(30)),
        (30, 0, Some(30)),
        (30, 30, None),
    ] {
        let broker = broker_with(|config| config.mqtt.server_keep_alive = ours).await;
        let mut options = ConnectOptions::new(Version::V5, "one");
        options.keep_alive = asked;
        let (_client, connack) = connect(&broker, &options).await;
        assert_eq!(
            two_bytes(&connack, SERVER_KEEP_ALIVE),
            said,
            "ours {ours}, asked {asked}"
        );
        broker.stop().await;
    }
}

/// MQTT 3.1 ends at 23 characters, 3.1.1 and 5 let a server take more, and so does this one.
#[tokio::test]
async fn a_client_id_may_be_longer_than_23_characters() {
    let broker = broker().await;
    for version in VERSIONS {
        for length in [1, 23, 24, 128] {
            let id = "x".repeat(length);
            let first = broker.client(kept(version, &id)).await.unwrap();
            first.disconnect(0).await.unwrap();
            let (mut again, connack) = connect(&broker, &kept(version, &id)).await;
            let code = (connack.code, connack.session_present);
            assert_eq!(code, (0, tells_presence(version)));
            again.ping().await.unwrap();
            drop(again);
            client(&broker, version, &id).await;
        }
    }
    broker.stop().await;
}

/// [MQTT-3.1.2-28]
#[tokio::test]
async fn response_information_is_told_to_who_asks_where_there_is_one() {
    for (configured, client_id, told) in [
        (None, "one", None),
        (Some("replies/%c"), "one", Some("replies/one")),
        (Some("r/%a"), "one", Some(&*format!("r/{APP}"))),
        (Some("r"), "one", Some("r")),
        // A user is not there, and such a client id would be more than one level.
        (Some("replies/%u"), "one", None),
        (Some("replies/%c"), "one/two", None),
        (Some("replies/%c"), "+", None),
        (Some("replies/%c"), "%a", None),
    ] {
        let broker = broker_with(|config| {
            config.mqtt.response_information = configured.map(ToOwned::to_owned);
        })
        .await;
        for (asked, told) in [(None, None), (Some(0), None), (Some(1), told)] {
            let mut options = ConnectOptions::new(Version::V5, client_id);
            if let Some(asked) = asked {
                options = options.property(REQUEST_RESPONSE_INFORMATION, vec![asked]);
            }
            let (_client, connack) = connect(&broker, &options).await;
            assert_eq!(connack.code, 0);
            assert_eq!(
                connack.properties.text(RESPONSE_INFORMATION).as_deref(),
                told
            );
        }
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_session_expiry_above_the_longest_is_cut_and_said() {
    let broker = broker_with(|config| config.mqtt.max_session_expiry = 100).await;
    for (asked, said) in [
        (0, None),
        (100, None),
        (101, Some(100)),
        (u32::MAX, Some(100)),
    ] {
        let options = ConnectOptions::new(Version::V5, "one").persistent(asked);
        let (_client, connack) = connect(&broker, &options).await;
        assert_eq!(four_bytes(&connack, SESSION_EXPIRY), said, "asked {asked}");
    }
    broker.stop().await;
}

async fn with_anonymous(app: partyline_protocol::AppKey) -> TestBroker {
    TestBroker::builder()
        .plugin::<OpenDoor>(json!({"leaves_strangers": true}))
        .config(|config| config.mqtt.anonymous_app = Some(app))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn plugins_judge_anonymous_clients_first() {
    let app = partyline_protocol::AppKey::parse(APP).unwrap();
    let broker = with_anonymous(app).await;
    for version in VERSIONS {
        let options = ConnectOptions::new(version, "banned");
        let (mut banned, connack) = connect(&broker, &options).await;
        assert_eq!(connack.code, super::by_version(version, 0x8a, 5));
        banned.closed().await.unwrap();
        let (_other, connack) = connect(&broker, &ConnectOptions::new(version, "other")).await;
        assert_eq!(connack.code, 0);
    }
    broker.stop().await;
}

#[tokio::test]
async fn clients_without_credentials_get_the_anonymous_app_where_there_is_one() {
    let other = partyline_protocol::AppKey::parse(OTHER_APP).unwrap();
    let broker = with_anonymous(other).await;
    for version in VERSIONS {
        let mut anonymous = client(&broker, version, "anonymous").await;
        let named = ConnectOptions::new(version, "named");
        let mut same = broker
            .client(named.clone().login(OTHER_APP, "x"))
            .await
            .unwrap();
        let mut elsewhere = broker.client(named.login(APP, "x")).await.unwrap();
        for subscriber in [&mut same, &mut elsewhere] {
            assert_eq!(subscriber.subscribe(&[("news", 1)]).await.unwrap(), [1]);
        }
        anonymous
            .publish_done("news", "hello", 1, false)
            .await
            .unwrap();
        assert_eq!(same.take("news").await.unwrap().payload, "hello");
        elsewhere.quiet().await.unwrap();
    }
    broker.stop().await;
}

#[tokio::test]
async fn an_anonymous_client_takes_over_no_device_of_the_same_name() {
    let app = partyline_protocol::AppKey::parse(APP).unwrap();
    let broker = with_anonymous(app).await;
    let device = ConnectOptions::new(Version::V5, "same").login(APP, "x");
    let mut device = broker.client(device).await.unwrap();
    let mut anonymous = client(&broker, Version::V5, "same").await;
    anonymous.quiet().await.unwrap();
    device.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn packets_right_behind_connect_are_handled_in_order() {
    let broker = broker().await;
    for version in VERSIONS {
        let mut client = super::RawClient::open(broker.addresses().mqtt, version)
            .await
            .unwrap();
        let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let (name, level): (&[u8], u8) = match version {
            Version::V31 => (b"\x00\x06MQIsdp", 3),
            Version::V311 => (b"\x00\x04MQTT", 4),
            Version::V5 => (b"\x00\x04MQTT", 5),
        };
        let body = [name, &[level, 2, 0, 60], properties, b"\x00\x01x"].concat();
        let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap()];
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&[0xc0, 0, 0xc0, 0]);
        // One byte at a time: packets may be cut anywhere.
        for byte in bytes {
            client.send_bytes(&[byte]).await.unwrap();
        }
        assert!(
            matches!(client.next().await.unwrap(), Packet::ConnAck(connack) if connack.code == 0)
        );
        for _ in 0..2 {
            assert_eq!(client.next().await.unwrap(), Packet::PingResp);
        }
    }
    broker.stop().await;
}

#[tokio::test]
async fn no_plugin_at_all_lets_nobody_in() {
    let broker = TestBroker::builder().start().await.unwrap();
    for version in VERSIONS {
        let (mut client, connack) = connect(&broker, &ConnectOptions::new(version, "one")).await;
        assert_eq!(connack.code, super::by_version(version, 0x87, 5));
        client.closed().await.unwrap();
    }
    broker.stop().await;
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .start()
        .await
        .unwrap();
    for version in VERSIONS {
        let options = ConnectOptions::new(version, "one").login("no app key", "x");
        let (mut client, connack) = connect(&broker, &options).await;
        assert_eq!(connack.code, super::by_version(version, 0x86, 4));
        client.closed().await.unwrap();
    }
    broker.stop().await;
}
