//! Idle connections: what each costs the broker.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use partyline_testkit::{ConnectOptions, RawClient, Version};
use tokio::task::JoinSet;

use crate::process::{cpu_ms, ensure_open_files, resident_bytes};

/// Connections that are opened side by side.
const AT_ONCE: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct Idle {
    /// The broker's MQTT address.
    #[arg(long)]
    address: SocketAddr,
    /// Its process.
    #[arg(long)]
    pid: u32,
    /// How many connections.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Their user names and passwords, `NAME:PASSWORD`, where `{user}` is the user's number, from 0;
    /// none for anonymous ones.
    #[arg(long)]
    login: Option<String>,
    /// Connections of each user.
    #[arg(long, default_value_t = 1)]
    devices: usize,
    /// What each subscribes to; `{number}` is the connection's number, from 1.
    #[arg(long, default_value = "idle/{number}")]
    filter: String,
}

impl Idle {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        ensure_open_files("self", self.connections)?;
        ensure_open_files(&self.pid.to_string(), self.connections)?;
        // What the broker allots once, such as its threads' arenas, is not a connection's.
        drop(self.open(1).await?);
        let (memory, cpu) = (resident_bytes(self.pid)?, cpu_ms(self.pid)?);
        let mut clients = Vec::with_capacity(self.connections);
        let mut opening = JoinSet::new();
        for n in 1..=self.connections {
            if opening.len() >= AT_ONCE
                && let Some(client) = opening.join_next().await
            {
                clients.push(client??);
            }
            let one = self.clone_for_task();
            opening.spawn(async move { one.open(n).await });
        }
        while let Some(client) = opening.join_next().await {
            clients.push(client??);
        }
        let grown = resident_bytes(self.pid)?.saturating_sub(memory);
        let spent = cpu_ms(self.pid)?.saturating_sub(cpu);
        let connections = clients.len();
        println!(
            "idle connections={connections} kib_each={:.2} connect_cpu_us_each={:.0}",
            ratio(grown, connections) / 1024.0,
            ratio(spent, connections) * 1000.0,
        );
        Ok(())
    }

    fn clone_for_task(&self) -> Self {
        Self {
            login: self.login.clone(),
            filter: self.filter.clone(),
            ..*self
        }
    }

    async fn open(&self, n: usize) -> anyhow::Result<RawClient> {
        let mut options = ConnectOptions::new(Version::V311, format!("idle-{n}"));
        options.keep_alive = 1200;
        if let Some(login) = &self.login {
            let user = n.saturating_sub(1) / self.devices.max(1);
            let login = login.replace("{user}", &user.to_string());
            let (name, password) = login.split_once(':').context("no password in the login")?;
            options = options.login(name, password.to_owned());
        }
        let mut client = RawClient::open(self.address, Version::V311).await?;
        let connack = client.connect(&options).await?;
        anyhow::ensure!(connack.code == 0, "refused with {}", connack.code);
        let filter = self.filter.replace("{number}", &n.to_string());
        let codes = client.subscribe(&[(&filter, 1)]).await?;
        anyhow::ensure!(codes == [1], "{filter} was not granted: {codes:?}");
        Ok(client)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
pub(crate) fn ratio(of: u64, count: usize) -> f64 {
    of as f64 / count.max(1) as f64
}
