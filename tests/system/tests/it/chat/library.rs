//! The libraries that clients are made of.

use std::path::PathBuf;

use anyhow::Context;
use partyline_system_tests::{Server, password_of};
use partyline_testkit::Version;

use super::client::Client;
use super::{rumqttc_v4, rumqttc_v5, script};

/// A library, its transport and its protocol.
#[derive(Debug, Clone)]
pub(crate) enum Library {
    /// rumqttc, MQTT 3.1.1 over TCP.
    RumqttcV4,
    /// rumqttc, MQTT 5 over TCP.
    RumqttcV5,
    /// paho-mqtt of Python, over TCP.
    Paho(Version),
    /// paho-mqtt of Python, over TLS, trusting this CA.
    PahoOverTls(Version, PathBuf),
    /// MQTT.js on Node, over WebSocket.
    MqttJs(Version),
}

/// What a client connects with.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// `HOST:PORT`.
    pub(crate) address: String,
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) password: String,
    /// User properties; MQTT 5 only.
    pub(crate) properties: Vec<(String, String)>,
    /// Whether it comes back by itself when it lost its connection. Only scripts can.
    pub(crate) reconnect: bool,
}

impl Library {
    /// The login of a user by password, on a device of the user's own.
    pub(crate) fn login(&self, server: &Server, user: &str, device: &str) -> anyhow::Result<Login> {
        let addresses = server.addresses();
        let address = match self {
            Self::MqttJs(_) => addresses.ws.clone(),
            Self::PahoOverTls(..) => addresses.mqtts.clone().context("TLS is off")?,
            Self::RumqttcV4 | Self::RumqttcV5 | Self::Paho(_) => addresses.mqtt.clone(),
        };
        Ok(Login {
            address,
            client_id: format!("{user}-{device}"),
            username: format!("{}/{user}", server.app),
            password: password_of(user),
            properties: Vec::new(),
            reconnect: false,
        })
    }

    /// Starts a client, which connects.
    pub(crate) fn start(&self, login: Login) -> anyhow::Result<Client> {
        match self {
            Self::RumqttcV4 => rumqttc_v4::start(login),
            Self::RumqttcV5 => rumqttc_v5::start(login),
            Self::Paho(version) => script::python(*version, &login, None),
            Self::PahoOverTls(version, ca) => script::python(*version, &login, Some(ca)),
            Self::MqttJs(version) => script::node(*version, &login),
        }
    }

    /// A user's client, let in.
    pub(crate) async fn connect(
        &self,
        server: &Server,
        user: &str,
        device: &str,
    ) -> anyhow::Result<Client> {
        let mut client = self.start(self.login(server, user, device)?)?;
        client.admitted().await?;
        Ok(client)
    }
}
