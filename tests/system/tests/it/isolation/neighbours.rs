//! Two apps on one server.

use anyhow::Context;
use partyline_system_tests::{Server, password_of};
use partyline_testkit::{ConnectOptions, Packet, RawClient, Version};
use serde_json::Value;

use crate::chat::stage;

/// Their passwords differ from those of the first app.
pub(super) fn other_password(name: &str) -> String {
    format!("{}-elsewhere", password_of(name))
}

/// A server with a second app. `alice` and `bobby` are in both; `carol` is in the second only.
pub(super) struct Neighbours {
    pub(super) server: Server,
    /// The key of the second app.
    pub(super) other: String,
    /// Its master secret.
    pub(super) other_secret: String,
}

impl Neighbours {
    pub(super) async fn start(config: &str) -> anyhow::Result<Self> {
        let server = stage::server_with(config).await?;
        let open = ["app", "registration", &server.app, "open"];
        server.cli(&open, None).await?;
        let made = server.cli(&["app", "create", "neighbour"], None).await?;
        let field = |name: &str| {
            let value = made[name].as_str().map(str::to_owned);
            value.with_context(|| format!("no {name} in {made}"))
        };
        let (other, other_secret) = (field("app_key")?, field("master_secret")?);
        let open = ["app", "registration", &other, "open"];
        server.cli(&open, None).await?;
        for name in ["alice", "bobby", "carol"] {
            let add = ["user", "add", &other, name];
            server.cli(&add, Some(&other_password(name))).await?;
        }
        Ok(Self {
            server,
            other,
            other_secret,
        })
    }

    /// A user of the first app.
    pub(super) fn here(&self, name: &str) -> ConnectOptions {
        self.server.user(Version::V5, name, "phone")
    }

    /// A user of the second app, with the same client id.
    pub(super) fn there(&self, name: &str) -> ConnectOptions {
        ConnectOptions::new(Version::V5, format!("{name}-phone"))
            .login(format!("{}/{name}", self.other), other_password(name))
    }

    /// Connects, is let in and told who it is.
    pub(super) async fn enter(
        &self,
        options: &ConnectOptions,
    ) -> anyhow::Result<(RawClient, Value)> {
        let mut client = self.server.connect(options).await?;
        let notice = client.publish_on("$session").await?.json()?;
        Ok((client, notice))
    }

    /// The code with which a CONNECT is answered.
    pub(super) async fn code(&self, options: &ConnectOptions) -> anyhow::Result<u8> {
        let address = self.server.addresses().mqtt.parse()?;
        let mut client = RawClient::open(address, options.version).await?;
        Ok(client.connect(options).await?.code)
    }
}

/// Fails if the broker has ended the connection, or sent it anything that `allowed` doesn't take.
pub(super) async fn undisturbed(
    client: &mut RawClient,
    allowed: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    client.ping().await?;
    let disturbance = client.unasked().find(|packet| match packet {
        Packet::Publish(publish) => !allowed(&publish.topic),
        _ => true,
    });
    assert_eq!(disturbance, None);
    Ok(())
}
