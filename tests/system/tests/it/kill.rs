//! kill -9 in the middle: what was acknowledged is there once and in order, and the rest appears
//! once when it is sent again.

mod journal;
mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use partyline_system_tests::Server;
use partyline_testkit::{Backend, RawClient, Version};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::journal::Journal;

const PAIRS: usize = 8;
const MESSAGES: usize = 250;
const KILLS: u32 = 10;
/// Sends of one user that may be unacknowledged.
const WINDOW: usize = 8;

/// No limit of sends, and an inbox that keeps everything, so that nothing but a kill can lose it.
const CONFIG: &str = "
[limits]
commands_per_second = 0
[plugins.im]
sends_per_minute = 0
inbox_messages = 100000
";

/// When the server is killed: counted over all clients, so that each kill falls where it may.
struct Trigger {
    left: AtomicU32,
    reached: Notify,
}

impl Trigger {
    fn set(&self, events: u32) {
        self.left.store(events.max(1), Ordering::SeqCst);
    }

    fn event(&self) {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if before == Ok(1) {
            self.reached.notify_one();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_loses_nothing() -> anyhow::Result<()> {
    loses_nothing(Backend::Sqlite, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_loses_nothing() -> anyhow::Result<()> {
    loses_nothing(Backend::Postgres, 2).await
}

async fn loses_nothing(backend: Backend, seed: u64) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::start(backend, CONFIG).await?;
    let mut journals = Vec::new();
    for n in 0..PAIRS {
        let (from, to) = (format!("from-{n}"), format!("user-{n}"));
        server.add_user(&from).await?;
        server.add_user(&to).await?;
        journals.push(Arc::new(Journal::new(from, to)));
    }
    let trigger = Arc::new(Trigger {
        left: AtomicU32::new(0),
        reached: Notify::new(),
    });
    let all = u32::try_from(PAIRS * MESSAGES)?;
    for _ in 0..KILLS {
        // Sends, acknowledgements and deliveries are events: about three to a message.
        trigger.set(random.random_range(1..=all * 3 / KILLS));
        let mut clients = run(&server, &journals, &trigger, random.next_u64());
        tokio::select! {
            () = trigger.reached.notified() => {}
            failed = first_failure(&mut clients) => return Err(failed),
        }
        server.kill().await?;
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        server.start_again().await?;
    }
    trigger.set(u32::MAX);
    let mut clients = run(&server, &journals, &trigger, random.next_u64());
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    for journal in &journals {
        journal.check_deliveries()?;
        let sender = stored(&server, &journal.from, &journal.to).await?;
        let receiver = stored(&server, &journal.to, &journal.from).await?;
        journal
            .check_store(&sender)
            .context("the sender's stream")?;
        journal
            .check_store(&receiver)
            .context("the receiver's stream")?;
    }
    server.discard().await
}

/// Senders go on where they were; receivers take what comes. Both end when the server is gone, or
/// when all is done.
fn run(
    server: &Server,
    journals: &[Arc<Journal>],
    trigger: &Arc<Trigger>,
    seed: u64,
) -> JoinSet<anyhow::Result<()>> {
    let mut clients = JoinSet::new();
    for (n, journal) in journals.iter().enumerate() {
        let address = server.addresses().mqtt.clone();
        let from = server.user(Version::V311, &journal.from, "a");
        let to = server.user(Version::V5, &journal.to, "b");
        let (sender, receiver) = (Arc::clone(journal), Arc::clone(journal));
        let (sending, receiving) = (Arc::clone(trigger), Arc::clone(trigger));
        let at = address.clone();
        clients.spawn(async move {
            let Some(client) = connect(&at, &from).await? else {
                return Ok(());
            };
            let ended = send(client, &sender, &sending).await;
            sender.interrupted(ended)
        });
        let mut random = StdRng::seed_from_u64(seed ^ n as u64);
        clients.spawn(async move {
            while receiver.delivered() < MESSAGES {
                let Some(client) = connect(&address, &to).await? else {
                    break;
                };
                let ended = receive(client, &receiver, &receiving, &mut random).await;
                receiver.interrupted(ended)?;
            }
            Ok(())
        });
    }
    clients
}

/// The first error of a client; never returns if there is none.
async fn first_failure(clients: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    while let Some(ended) = clients.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(panicked) => return panicked.into(),
        }
    }
    std::future::pending().await
}

/// `None` if the server was killed meanwhile. A refusal is an error.
async fn connect(
    address: &str,
    options: &partyline_testkit::ConnectOptions,
) -> anyhow::Result<Option<RawClient>> {
    let Ok(mut client) = RawClient::open(address.parse()?, options.version).await else {
        return Ok(None);
    };
    match client.connect(options).await {
        Ok(connack) if connack.code == 0 => Ok(Some(client)),
        Ok(connack) => anyhow::bail!("refused with {:#04x}", connack.code),
        Err(_) => Ok(None),
    }
}

async fn send(mut client: RawClient, journal: &Journal, trigger: &Trigger) -> anyhow::Result<()> {
    let mut next = journal.acknowledged();
    let mut outstanding = 0;
    while journal.acknowledged() < MESSAGES {
        while next < MESSAGES && outstanding < WINDOW {
            let request = json!({
                "id": next, "client_msg_id": format!("m-{next}"), "target_type": "single",
                "target_id": journal.to, "msg_type": "text", "msg_body": { "text": next.to_string() },
            });
            client
                .publish("$im/message/send", request.to_string(), 1, false)
                .await?;
            trigger.event();
            (next, outstanding) = (next + 1, outstanding + 1);
        }
        let reply = client.publish_on("$im/reply").await?.json()?;
        journal.acknowledge(&reply)?;
        outstanding -= 1;
        trigger.event();
    }
    Ok(())
}

async fn receive(
    mut client: RawClient,
    journal: &Journal,
    trigger: &Trigger,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    client.subscribe(&[("$im/inbox", 1)]).await?;
    let mut place = None;
    while journal.delivered() < MESSAGES {
        let packet = client.publish_on("$im/inbox").await?;
        place = Some(journal.deliver(&packet.json()?, place)?);
        trigger.event();
        // Now and then a batch stays unacknowledged until the connection ends.
        if random.random_ratio(1, 200) {
            return Ok(());
        }
        client.puback(packet.id).await?;
    }
    Ok(())
}

/// The whole stream of a user as a new device reads it by hand.
async fn stored(server: &Server, user: &str, other: &str) -> anyhow::Result<Vec<Value>> {
    let mut client = server
        .connect(&server.user(Version::V5, user, "reader"))
        .await?;
    // Without an epoch the server cannot know which stream is meant: it names its own.
    let reset = client.ok("$im/inbox/sync", &json!({ "from": 0 })).await?;
    let epoch = reset.get("epoch").cloned().context("no epoch")?;
    let (mut items, mut from) = (Vec::new(), 0);
    loop {
        let request = json!({ "epoch": epoch, "from": from, "limit": 500 });
        let page = client.ok("$im/inbox/sync", &request).await?;
        let number = |name: &str| page.get(name).and_then(Value::as_u64);
        let (seq, head) = (
            number("seq").with_context(|| format!("no seq: {page}"))?,
            number("head").context("no head")?,
        );
        ensure!(
            number("prev") == Some(from),
            "the page does not begin at {from}: {page}"
        );
        items.extend(
            page.get("items")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        );
        if seq == head {
            break;
        }
        ensure!(seq > from, "no progress at {from} of {head} with {other}");
        from = seq;
    }
    Ok(items)
}
