//! Those who send and those who listen, until all is done or the server is killed.

use std::sync::Arc;

use anyhow::ensure;
use partyline_system_tests::Server;
use partyline_testkit::{ConnectOptions, ConnectionClosed, RawClient, Version};
use serde_json::json;
use tokio::task::JoinSet;

use super::MESSAGES;
use super::journal::{Journal, LISTENERS};
use super::moment::{Kill, Moment};

/// Sends of one user that may be unacknowledged.
const WINDOW: usize = 8;
/// Of so many batches, one stays unacknowledged until its connection ends.
const FORGOTTEN: usize = 150;

/// Whether a client did all that it had to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    Interrupted,
}

/// The devices that listen: user and device. Those of the receiver come first.
fn listeners(journal: &Journal) -> [(&str, &str); LISTENERS] {
    [(&journal.to, "b"), (&journal.to, "c"), (&journal.from, "d")]
}

/// Makes the listening devices known: one that first came later would begin where the others are.
pub(super) async fn prepare(server: &Server, journal: &Journal) -> anyhow::Result<()> {
    for (user, device) in listeners(journal) {
        let options = server.user(Version::V5, user, device);
        let mut client = connect(&server.addresses().mqtt, &options).await?;
        client.subscribe(&[("$im/inbox", 1)]).await?;
        client.disconnect(0).await?;
    }
    Ok(())
}

/// Senders go on where they were; listeners take what comes.
pub(super) fn run(
    server: &Server,
    journals: &[Arc<Journal>],
    kill: &Arc<Kill>,
) -> JoinSet<anyhow::Result<Ended>> {
    let mut clients = JoinSet::new();
    for journal in journals {
        let address = &server.addresses().mqtt;
        let from = server.user(Version::V311, &journal.from, "a");
        let (to, sender, until) = (address.clone(), Arc::clone(journal), Arc::clone(kill));
        clients.spawn(async move {
            let work = send(&to, &from, &sender, &until);
            ended(work, &until).await
        });
        for (n, (user, device)) in listeners(journal).into_iter().enumerate() {
            let options = server.user(Version::V5, user, device);
            let (at, listener, until) = (address.clone(), Arc::clone(journal), Arc::clone(kill));
            clients.spawn(async move {
                let work = listen(&at, &options, &listener, n, &until);
                ended(work, &until).await
            });
        }
    }
    clients
}

/// A connection may be lost from the chosen moment on, and never before.
async fn ended(
    work: impl Future<Output = anyhow::Result<()>>,
    kill: &Kill,
) -> anyhow::Result<Ended> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        () = kill.chosen() => {
            // The connection is held until the server is gone.
            kill.killed().await;
            Ok(Ended::Interrupted)
        }
        ended = &mut work => match ended {
            Ok(()) => Ok(Ended::Done),
            Err(error) if kill.is_chosen() && error.is::<ConnectionClosed>() => {
                Ok(Ended::Interrupted)
            }
            Err(error) => Err(error),
        }
    }
}

async fn connect(address: &str, options: &ConnectOptions) -> anyhow::Result<RawClient> {
    let mut client = RawClient::open(address.parse()?, options.version).await?;
    let connack = client.connect(options).await?;
    ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
    Ok(client)
}

async fn send(
    address: &str,
    options: &ConnectOptions,
    journal: &Journal,
    kill: &Kill,
) -> anyhow::Result<()> {
    let mut client = connect(address, options).await?;
    let mut next = journal.acknowledged();
    let mut outstanding = 0;
    while journal.acknowledged() < MESSAGES {
        while next < MESSAGES && outstanding < WINDOW {
            let request = json!({
                "id": next, "client_msg_id": format!("m-{next}"), "target_type": "single",
                "target_id": journal.to, "msg_type": "text", "msg_body": { "text": next.to_string() },
            });
            journal.send(next);
            client
                .publish("$im/message/send", request.to_string(), 1, false)
                .await?;
            kill.observe(Moment::Sent);
            (next, outstanding) = (next + 1, outstanding + 1);
        }
        let reply = client.publish_on("$im/reply").await?.json()?;
        journal.acknowledge(&reply, kill)?;
        outstanding -= 1;
    }
    Ok(())
}

async fn listen(
    address: &str,
    options: &ConnectOptions,
    journal: &Journal,
    listener: usize,
    kill: &Kill,
) -> anyhow::Result<()> {
    let mut batches = 0;
    while journal.delivered(listener) < MESSAGES {
        let mut client = connect(address, options).await?;
        client.subscribe(&[("$im/inbox", 1)]).await?;
        let mut place = None;
        while journal.delivered(listener) < MESSAGES {
            let packet = client.publish_on("$im/inbox").await?;
            place = journal.deliver(listener, &packet.json()?, place, kill)?;
            if place.is_none() {
                // It must not be acknowledged either.
                kill.killed().await;
            }
            batches += 1;
            if batches % FORGOTTEN == 0 {
                break;
            }
            client.puback(packet.id).await?;
        }
    }
    Ok(())
}
