//! Each plugin in a broker of its own, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod audit_log;
mod deny_wildcard;
mod echo_command;
mod payload_limit;
mod presence;
mod topic_rewrite;

use partyline_plugin::Plugin;
use partyline_testkit::{
    ConnectOptions, OpenDoor, RawClient, TestBroker, TestBrokerBuilder, Version,
};
use serde_json::{Value, json};

/// A broker with one plugin that lets everybody in and the one under test.
fn builder<P: Plugin>(config: Value) -> TestBrokerBuilder {
    let builder = TestBroker::builder().plugin::<OpenDoor>(json!({}));
    builder.plugin::<P>(config)
}

async fn broker<P: Plugin>(config: Value) -> TestBroker {
    builder::<P>(config).start().await.unwrap()
}

/// A client of MQTT 5, a device.
async fn client(broker: &TestBroker, id: &str) -> RawClient {
    let options = ConnectOptions::new(Version::V5, id);
    broker.client(options).await.unwrap()
}

/// A client of MQTT 5 that is somebody.
async fn user(broker: &TestBroker, name: &str) -> RawClient {
    let options = ConnectOptions::new(Version::V5, name).login(name, "x");
    broker.client(options).await.unwrap()
}
