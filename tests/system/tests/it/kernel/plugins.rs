//! Hooks, commands and outlets, with small plugins of the tests' own.

mod bouncer;
mod changed_rules;
mod command_order;
mod commands;
mod deliveries;
mod demo;
mod describe;
mod filter_faults;
mod filters;
mod handles;
mod kick;
mod names;
mod observers;
mod other_filters;
mod outlets;
mod reload;
mod sieve;
mod users;
mod witness;

use partyline_plugin::{DeviceKey, Owner, SessionInfo, UserLogin};
use partyline_protocol::{AppKey, Class, ClientId, Username};
use partyline_system_tests::{APP, OpenDoor};
use partyline_testkit::{BrokerConfig, RawClient, TestBroker};
use serde_json::{Value, json};

pub(super) use demo::Demo;

use std::sync::Arc;

const REPLY: &str = "$x/demo/reply";

/// A broker with [`Demo`].
async fn demo_broker(
    change: impl FnOnce(&mut BrokerConfig),
) -> anyhow::Result<(TestBroker, Arc<Demo>)> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .config(change)
        .start()
        .await?;
    let demo = broker.services().get::<Demo>()?;
    Ok((broker, demo))
}

/// Sends a command of [`Demo`] at QoS 1; its reply and the reason of the PUBACK.
async fn request(
    client: &mut RawClient,
    verb: &str,
    request: &Value,
) -> anyhow::Result<(Value, u8)> {
    let topic = format!("$x/demo/{verb}");
    let id = client
        .publish(&topic, request.to_string(), 1, false)
        .await?;
    let reply = client.publish_on(REPLY).await?;
    anyhow::ensure!(reply.qos == 0, "replies go at QoS 0");
    Ok((reply.json()?, client.acked(4, id).await?))
}

fn device(id: &str) -> DeviceKey {
    DeviceKey {
        app: AppKey::parse(APP).expect("an app key"),
        owner: Owner::Device,
        client_id: ClientId::parse(id).expect("a client id"),
    }
}

fn login(name: &str) -> UserLogin {
    let username = Username::parse(name).expect("a user name");
    UserLogin {
        username,
        class: Class::Other,
    }
}

/// The open connection of a device of [`APP`].
fn session(demo: &Demo, id: &str) -> Arc<SessionInfo> {
    demo.broker
        .session_of(&device(id))
        .expect("the device is connected")
}
