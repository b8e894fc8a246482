//! What a case has to work with: a broker, and names that no other case uses.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use partyline_testkit::{ConnAck, ConnectOptions, PATIENCE, Packet, RawClient, Version};

/// Where a broker listens.
#[derive(Debug, Clone, Copy)]
pub struct BrokerAddresses {
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// MQTT over WebSocket, on the path `/mqtt`; `None` if it is not offered.
    pub websocket: Option<SocketAddr>,
}

/// A broker that allows everything, and names of the case's own on it.
#[derive(Debug, Clone)]
pub struct Stage {
    pub(crate) broker: BrokerAddresses,
    pub(crate) version: Version,
    mark: String,
    patience: Duration,
}

impl Stage {
    /// For a case of this version.
    pub fn new(broker: BrokerAddresses, version: Version) -> Self {
        Self {
            broker,
            version,
            mark: format!("{:08x}", rand::random::<u32>()),
            patience: PATIENCE,
        }
    }

    /// Whose clients wait only so long for what must come.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A topic that no other case uses.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("conformance/{}/{name}", self.mark)
    }

    /// A client id that no other case uses: letters and digits, 23 at most if `name` has up to 15.
    pub(crate) fn client_id(&self, name: &str) -> String {
        format!("{}{name}", self.mark)
    }

    /// A clean CONNECT.
    pub(crate) fn options(&self, name: &str) -> ConnectOptions {
        ConnectOptions::new(self.version, self.client_id(name))
    }

    /// A CONNECT that resumes the session that is there, and leaves one for the next.
    pub(crate) fn lasting(&self, name: &str) -> ConnectOptions {
        self.options(name).persistent(300)
    }

    /// An open socket; nothing is sent yet.
    pub(crate) async fn open(&self) -> anyhow::Result<RawClient> {
        let client = RawClient::open(self.broker.mqtt, self.version).await?;
        Ok(client.patience(self.patience))
    }

    /// A client and its CONNACK, whatever that says.
    pub(crate) async fn answered(
        &self,
        options: &ConnectOptions,
    ) -> anyhow::Result<(RawClient, ConnAck)> {
        let mut client = self.open().await?;
        let connack = client.connect(options).await?;
        Ok((client, connack))
    }

    /// A client that was let in.
    pub(crate) async fn connected(&self, options: &ConnectOptions) -> anyhow::Result<RawClient> {
        let (client, connack) = self.answered(options).await?;
        ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
        Ok(client)
    }

    /// A client with a clean session.
    pub(crate) async fn client(&self, name: &str) -> anyhow::Result<RawClient> {
        self.connected(&self.options(name)).await
    }

    /// A client with a clean session and these subscriptions.
    pub(crate) async fn subscriber(
        &self,
        name: &str,
        filters: &[(&str, u8)],
    ) -> anyhow::Result<RawClient> {
        let mut client = self.client(name).await?;
        let granted = client.subscribe(filters).await?;
        let asked: Vec<u8> = filters.iter().map(|(_, qos)| qos & 3).collect();
        ensure!(granted == asked, "granted {granted:02x?}, not {asked:02x?}");
        Ok(client)
    }

    /// Proves that `to` has been sent nothing that the case has not looked at: what `from` publishes
    /// now, at each QoS, goes the same way and must be the next to come.
    pub(crate) async fn nothing_more(
        &self,
        from: &mut RawClient,
        to: &mut RawClient,
    ) -> anyhow::Result<()> {
        // Beside the case's own topics, so that none of its wildcards matches it.
        let topic = format!("marker/{}", self.mark);
        to.subscribe(&[(&topic, 2)]).await?;
        for qos in 0..=2 {
            from.publish_done(&topic, "marker", qos, false).await?;
            to.take(&topic).await.context("the marker")?;
        }
        // Else it would hear the markers of others.
        to.unsubscribe(&[&topic]).await?;
        to.ping().await?;
        let unasked: Vec<&Packet> = to.unasked().collect();
        ensure!(unasked.is_empty(), "came unasked: {unasked:?}");
        Ok(())
    }
}
