//! kill -9 and plain MQTT: what was acknowledged to or by a durable session is there afterwards, and
//! at QoS 2 nothing comes twice.

mod half_steps;
mod parties;
mod retained;
mod sessions;
mod stream;
mod wills;

use partyline_system_tests::Server;
use partyline_testkit::{Backend, ConnAck, ConnectOptions, RawClient, Version};

/// Nothing but a kill may lose or refuse anything.
const CONFIG: &str = "
[limits]
queued_messages = 100000
queued_bytes = 104857600
";

/// Makes a test of each of these functions on SQLite, and on PostgreSQL in a module of its own.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::kill::plain::start(partyline_testkit::Backend::Sqlite).await?).await
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::kill::plain::start(partyline_testkit::Backend::Postgres).await?).await
            })+
        }
    };
}
use on_both;

async fn start(backend: Backend) -> anyhow::Result<Server> {
    Server::start(backend, CONFIG).await
}

/// kill -9, and a start on what is left.
async fn kill(server: &mut Server) -> anyhow::Result<()> {
    server.kill().await?;
    server.start_again().await
}

/// A connection of the app's server, which may use every plain topic, with a clean session.
fn clean(server: &Server, version: Version, id: &str) -> ConnectOptions {
    ConnectOptions::new(version, id).login(
        format!("{}/$service", server.app),
        server.master_secret.clone(),
    )
}

/// The same with a session that is kept for an hour.
fn kept(server: &Server, version: Version, id: &str) -> ConnectOptions {
    clean(server, version, id).persistent(3600)
}

/// Connects; the CONNACK says whether the session was there.
async fn connect(
    server: &Server,
    options: &ConnectOptions,
) -> anyhow::Result<(RawClient, ConnAck)> {
    let address = server.addresses().mqtt.parse()?;
    let mut client = RawClient::open(address, options.version).await?;
    let connack = client.connect(options).await?;
    anyhow::ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
    Ok((client, connack))
}
