//! Streams of messages at QoS 1 and 2 to durable sessions, with kills in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use partyline_system_tests::Server;
use partyline_testkit::{ConnectionClosed, Version};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::parties::{Publisher, Subscriber};
use super::{kept, on_both};

on_both! {
    offline_sessions_get_everything_in_order,
    sessions_that_listen_get_everything_in_order,
}

const MESSAGES: u32 = 250;

/// What a kill waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// A publisher sent PUBLISH.
    Published,
    /// A publisher sent PUBREL.
    Released,
    /// A subscriber got PUBLISH.
    Delivered,
    /// A subscriber sent PUBREC.
    Recorded,
    /// A subscriber got PUBREL.
    Freed,
}

/// After so many acknowledgements of this run, at this moment. While nobody listens the moments of
/// subscribers do not come.
const KILLS: [(usize, Moment); 8] = [
    (30, Moment::Published),
    (61, Moment::Released),
    (17, Moment::Delivered),
    (44, Moment::Recorded),
    (80, Moment::Freed),
    (5, Moment::Released),
    (93, Moment::Published),
    (25, Moment::Recorded),
];

/// When the server is to be killed.
pub(super) struct Kill {
    at: Option<(usize, Moment)>,
    acknowledged: AtomicUsize,
    chosen: Notify,
}

impl Kill {
    fn new(at: Option<(usize, Moment)>) -> Self {
        Self {
            at,
            acknowledged: AtomicUsize::new(0),
            chosen: Notify::new(),
        }
    }

    pub(super) fn count(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn observe(&self, moment: Moment) {
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let is_it = |(after, wanted)| wanted == moment && acknowledged >= after;
        if self.at.is_some_and(is_it) {
            self.chosen.notify_one();
        }
    }
}

/// Waits for all; whether all did what they had to.
async fn ended(clients: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<bool> {
    let mut all = true;
    while let Some(ended) = clients.join_next().await {
        match ended? {
            Ok(()) => {}
            Err(error) if error.is::<ConnectionClosed>() => all = false,
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

async fn offline_sessions_get_everything_in_order(server: Server) -> anyhow::Result<()> {
    run(server, false).await
}

async fn sessions_that_listen_get_everything_in_order(server: Server) -> anyhow::Result<()> {
    run(server, true).await
}

async fn run(mut server: Server, listening: bool) -> anyhow::Result<()> {
    let mut publishers = Vec::new();
    for (n, (version, qos)) in [
        (Version::V311, 1),
        (Version::V5, 1),
        (Version::V311, 2),
        (Version::V5, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let options = kept(&server, version, &format!("publisher-{n}"));
        publishers.push(Publisher::new(
            options,
            format!("s/{qos}/{n}"),
            qos,
            MESSAGES,
        ));
    }
    let topics = publishers.len();
    // At QoS 2 what comes at QoS 1 is another matter: it is listened to at its own.
    let subscribers = [
        Subscriber::new(kept(&server, Version::V5, "one"), 1),
        Subscriber::new(kept(&server, Version::V311, "two"), 1),
    ];
    let exact = [
        Subscriber::new(kept(&server, Version::V5, "exact"), 2),
        Subscriber::new(kept(&server, Version::V311, "exact-old"), 2),
    ];
    for subscriber in subscribers.iter().chain(&exact) {
        subscriber.prepare(&server.addresses().mqtt).await?;
    }
    let listeners = || subscribers.iter().chain(&exact);
    let mut kills = KILLS
        .into_iter()
        .filter(|(_, moment)| listening || matches!(moment, Moment::Published | Moment::Released));
    let mut killed = 0;
    loop {
        let kill = Arc::new(Kill::new(kills.next()));
        let mut clients = JoinSet::new();
        let address = server.addresses().mqtt.clone();
        for publisher in &publishers {
            let (publisher, address, kill) = (publisher.clone(), address.clone(), kill.clone());
            clients.spawn(async move { publisher.run(&address, &kill).await });
        }
        if listening {
            for subscriber in listeners() {
                let (subscriber, address, kill) =
                    (subscriber.clone(), address.clone(), kill.clone());
                clients
                    .spawn(async move { subscriber.run(&address, topics, MESSAGES, &kill).await });
            }
        }
        if kill.at.is_none() {
            ensure!(ended(&mut clients).await?, "interrupted without a kill");
            break;
        }
        tokio::select! {
            () = kill.chosen.notified() => {}
            ended = ended(&mut clients) => {
                ended?;
                anyhow::bail!("all was done before {:?}", kill.at);
            }
        }
        server.kill().await?;
        killed += 1;
        ended(&mut clients).await?;
        server.start_again().await?;
    }
    ensure!(killed >= 3);
    for publisher in &publishers {
        ensure!(publisher.acknowledged() == MESSAGES as usize);
    }
    if !listening {
        let none = Arc::new(Kill::new(None));
        for subscriber in listeners() {
            let address = &server.addresses().mqtt;
            subscriber.run(address, topics, MESSAGES, &none).await?;
        }
    }
    for subscriber in listeners() {
        subscriber.check(topics, MESSAGES)?;
    }
    server.discard().await
}
