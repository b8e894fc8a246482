//! kill -9 in the middle: what was acknowledged is there once and in order, and the rest appears
//! once when it is sent again.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod clients;
mod journal;
mod moment;
mod plain;
mod trace;

use std::sync::Arc;

use anyhow::{Context, ensure};
use partyline_system_tests::Server;
use partyline_testkit::{Backend, Version};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::clients::Ended;
use self::journal::{Journal, Kinds};
use self::moment::{Kill, Moment};

const PAIRS: usize = 8;
const MESSAGES: usize = 250;

/// After how many acknowledgements of its run, and then at which moment, the server is killed.
const KILLS: [(usize, Moment); 10] = [
    (61, Moment::Sent),
    (143, Moment::DeliveredUnacknowledged),
    (97, Moment::AcknowledgedUndelivered),
    (170, Moment::HalfDelivered),
    (12, Moment::Sent),
    (118, Moment::DeliveredUnacknowledged),
    (155, Moment::AcknowledgedUndelivered),
    (34, Moment::HalfDelivered),
    (129, Moment::Sent),
    (88, Moment::DeliveredUnacknowledged),
];

/// No limit of sends, and an inbox that keeps everything, so that nothing but a kill can lose it.
const CONFIG: &str = "
[limits]
commands_per_second = 0
[plugins.im]
sends_per_minute = 0
inbox_messages = 100000
";

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_loses_nothing() -> anyhow::Result<()> {
    loses_nothing(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_loses_nothing() -> anyhow::Result<()> {
    loses_nothing(Backend::Postgres).await
}

async fn loses_nothing(backend: Backend) -> anyhow::Result<()> {
    let mut server = Server::start(backend, CONFIG).await?;
    let mut journals = Vec::new();
    for n in 0..PAIRS {
        let (from, to) = (format!("from-{n}"), format!("user-{n}"));
        server.add_user(&from).await?;
        server.add_user(&to).await?;
        let journal = Journal::new(from, to);
        clients::prepare(&server, &journal).await?;
        journals.push(Arc::new(journal));
    }
    for (n, at) in KILLS.into_iter().enumerate() {
        let kill = Arc::new(Kill::new(Some(at)));
        let mut clients = clients::run(&server, &journals, &kill);
        tokio::select! {
            () = kill.chosen() => {}
            ended = all_ended(&mut clients) => {
                ended?;
                anyhow::bail!("all was done before kill {n}, {at:?}");
            }
        }
        server.kill().await?;
        kill.is_done();
        all_ended(&mut clients).await?;
        for journal in &journals {
            journal.note_kill();
        }
        server.start_again().await?;
    }
    let mut clients = clients::run(&server, &journals, &Arc::new(Kill::new(None)));
    let all_done = all_ended(&mut clients).await?;
    ensure!(all_done, "a connection was interrupted without a kill");
    let mut kinds = Kinds::default();
    for journal in &journals {
        kinds.add(journal.kinds());
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
    // Every place in which a kill can meet a message was met.
    ensure!(
        kinds.lost > 0
            && kinds.unacknowledged > 0
            && kinds.undelivered > 0
            && kinds.half_delivered > 0,
        "{kinds:?}"
    );
    server.discard().await
}

/// Waits for all clients; returns whether all did what they had to.
async fn all_ended(clients: &mut JoinSet<anyhow::Result<Ended>>) -> anyhow::Result<bool> {
    let mut all_done = true;
    while let Some(ended) = clients.join_next().await {
        all_done &= ended?? == Ended::Done;
    }
    Ok(all_done)
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
