//! Devices, users and servers at the entrance.

use partyline_system_tests::Server;
use partyline_testkit::{ConnAck, ConnectOptions, RawClient, Version};
use serde_json::Value;

use crate::chat::stage;

/// A device's own secret.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A server on which devices may register.
pub(super) async fn open_server() -> anyhow::Result<Server> {
    open_server_with("").await
}

pub(super) async fn open_server_with(config: &str) -> anyhow::Result<Server> {
    let server = stage::server_with(config).await?;
    let open = ["app", "registration", &server.app, "open"];
    server.cli(&open, None).await?;
    Ok(server)
}

/// CONNECT of a device with its own secret.
pub(super) fn device(server: &Server, client_id: &str) -> ConnectOptions {
    ConnectOptions::new(Version::V5, client_id).login(server.app.clone(), SECRET)
}

/// CONNECT of the app's server.
pub(super) fn service(server: &Server, client_id: &str) -> ConnectOptions {
    let name = format!("{}/$service", server.app);
    ConnectOptions::new(Version::V5, client_id).login(name, server.master_secret.clone())
}

/// CONNECT of a user with this password, or token, on MQTT 5.
pub(super) fn user_with(server: &Server, name: &str, device: &str, proof: &str) -> ConnectOptions {
    let username = format!("{}/{name}", server.app);
    ConnectOptions::new(Version::V5, format!("{name}-{device}")).login(username, proof.to_owned())
}

/// Connects, whatever the answer.
pub(super) async fn knock(
    server: &Server,
    options: &ConnectOptions,
) -> anyhow::Result<(RawClient, ConnAck)> {
    let address = server.addresses().mqtt.parse()?;
    let mut client = RawClient::open(address, options.version).await?;
    let connack = client.connect(options).await?;
    Ok((client, connack))
}

/// The code with which a CONNECT is answered.
pub(super) async fn code(server: &Server, options: &ConnectOptions) -> anyhow::Result<u8> {
    Ok(knock(server, options).await?.1.code)
}

/// Connects, is let in and told who it is.
pub(super) async fn enter(
    server: &Server,
    options: &ConnectOptions,
) -> anyhow::Result<(RawClient, Value)> {
    let mut client = server.connect(options).await?;
    let notice = client.publish_on("$session").await?.json()?;
    Ok((client, notice))
}
