//! MQTT itself, packet by packet, with a plugin that lets everybody in.
#![cfg(test)]

mod admin_access;
mod app_isolation;
mod broken_packets;
mod connect;
mod connect_refused;
mod cross_app_probes;
mod delivery_guarantees;
mod health;
mod hostile;
mod limits;
mod many_retained;
mod metrics;
mod plugin_routes;
mod plugins;
mod problem_information;
mod publish;
mod races;
mod resend;
mod retained;
mod session;
mod shared;
mod slow;
mod stop;
mod subscribe;
mod subscription_ids;
mod sys;
mod tls_reload;
mod topic_aliases;
mod transport;
mod transports;
mod websocket;
mod will;

use partyline_system_tests::OpenDoor;
use partyline_testkit::{BrokerConfig, ConnAck, ConnectOptions, RawClient, TestBroker, Version};
use serde_json::json;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Property identifiers of MQTT 5.
mod property {
    pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(super) const CONTENT_TYPE: u8 = 0x03;
    pub(super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(super) const CORRELATION_DATA: u8 = 0x09;
    pub(super) const SUBSCRIPTION_ID: u8 = 0x0b;
    pub(super) const SESSION_EXPIRY: u8 = 0x11;
    pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(super) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(super) const RESPONSE_INFORMATION: u8 = 0x1a;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(super) const AUTH_METHOD: u8 = 0x15;
    pub(super) const WILL_DELAY: u8 = 0x18;
    pub(super) const REASON_STRING: u8 = 0x1f;
    pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(super) const TOPIC_ALIAS: u8 = 0x23;
    pub(super) const USER_PROPERTY: u8 = 0x26;
    pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(super) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
    pub(super) const SHARED_SUBSCRIPTIONS_AVAILABLE: u8 = 0x2a;
}

async fn broker() -> TestBroker {
    broker_with(|_| {}).await
}

async fn broker_with(change: impl FnOnce(&mut BrokerConfig)) -> TestBroker {
    TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .config(change)
        .start()
        .await
        .expect("the broker starts")
}

async fn client(broker: &TestBroker, version: Version, id: &str) -> RawClient {
    broker
        .client(ConnectOptions::new(version, id))
        .await
        .expect("the client is let in")
}

/// A client whose session is kept for a minute.
fn kept(version: Version, id: &str) -> ConnectOptions {
    ConnectOptions::new(version, id).persistent(60)
}

/// Connects, whatever the answer is.
async fn connect(broker: &TestBroker, options: &ConnectOptions) -> (RawClient, ConnAck) {
    let mut client = RawClient::open(broker.addresses().mqtt, options.version)
        .await
        .expect("the listener accepts");
    let connack = client.connect(options).await.expect("a CONNACK comes");
    (client, connack)
}

/// What the standard calls a reason code in MQTT 5, and a return code before it.
fn by_version(version: Version, v5: u8, v3: u8) -> u8 {
    if version == Version::V5 { v5 } else { v3 }
}

/// Whether a CONNACK can tell that a session was there: MQTT 3.1 has no flag for it.
fn tells_presence(version: Version) -> bool {
    version != Version::V31
}
