//! A publisher and a subscriber that keep their part of the session as MQTT wants it, over all
//! connections.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::ensure;
use parking_lot::Mutex;
use partyline_testkit::{ConnectOptions, ConnectionClosed, Packet, Publish, RawClient};

use super::stream::{Kill, Moment};

/// Messages of one publisher that may be unacknowledged.
const WINDOW: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// PUBLISH was sent, at least once.
    Published,
    /// PUBREC came.
    Received,
}

/// What a publisher remembers.
#[derive(Default)]
struct Sent {
    next: u32,
    /// Packet id, number and stage, in the order of sending.
    open: BTreeMap<u32, (u16, Stage)>,
    acknowledged: BTreeSet<u32>,
}

pub(super) struct Publisher {
    options: ConnectOptions,
    topic: String,
    qos: u8,
    count: u32,
    sent: Mutex<Sent>,
}

impl Publisher {
    pub(super) fn new(options: ConnectOptions, topic: String, qos: u8, count: u32) -> Arc<Self> {
        let sent = Mutex::default();
        Arc::new(Self {
            options,
            topic,
            qos,
            count,
            sent,
        })
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.sent.lock().acknowledged.len()
    }

    fn id_of(number: u32) -> u16 {
        // There are far fewer.
        u16::try_from(number).map_or(u16::MAX, |number| number + 1)
    }

    async fn publish(&self, client: &mut RawClient, number: u32, dup: bool) -> anyhow::Result<()> {
        let (id, payload) = (Self::id_of(number), number.to_string());
        let payload = payload.as_bytes();
        client
            .send_publish(id, &self.topic, payload, self.qos, false, dup, &[])
            .await
    }

    /// Sends again what is open, then the rest, until all is done or the server is gone.
    pub(super) async fn run(&self, address: &str, kill: &Kill) -> anyhow::Result<()> {
        let mut client = connect(address, &self.options).await?;
        let open = self.sent.lock().open.clone();
        for (number, (id, stage)) in open {
            match stage {
                Stage::Published => self.publish(&mut client, number, true).await?,
                Stage::Received => client.ack(6, id).await?,
            }
        }
        loop {
            loop {
                let next = {
                    let mut sent = self.sent.lock();
                    if sent.open.len() >= WINDOW || sent.next == self.count {
                        break;
                    }
                    let number = sent.next;
                    sent.next += 1;
                    let entry = (Self::id_of(number), Stage::Published);
                    sent.open.insert(number, entry);
                    number
                };
                self.publish(&mut client, next, false).await?;
                kill.observe(Moment::Published);
            }
            if self.sent.lock().open.is_empty() {
                return Ok(());
            }
            match client.next().await? {
                Packet::Ack(4, id, 0) if self.qos == 1 => self.done(id, kill)?,
                Packet::Ack(5, id, 0) if self.qos == 2 => {
                    self.received(id, kill)?;
                    client.ack(6, id).await?;
                    kill.observe(Moment::Released);
                }
                Packet::Ack(7, id, _) if self.qos == 2 => self.done(id, kill)?,
                Packet::Closed => return Err(ConnectionClosed.into()),
                other => anyhow::bail!("the publisher got {other:?}"),
            }
        }
    }

    fn received(&self, id: u16, kill: &Kill) -> anyhow::Result<()> {
        let mut sent = self.sent.lock();
        let open = sent.open.iter_mut().find(|(_, (one, _))| *one == id);
        let Some((number, (_, stage))) = open else {
            anyhow::bail!("PUBREC for {id}, which is not open");
        };
        *stage = Stage::Received;
        let number = *number;
        sent.acknowledged.insert(number);
        kill.count();
        Ok(())
    }

    fn done(&self, id: u16, kill: &Kill) -> anyhow::Result<()> {
        let mut sent = self.sent.lock();
        let open = sent.open.iter().find(|(_, (one, _))| *one == id);
        let Some(number) = open.map(|(number, _)| *number) else {
            anyhow::bail!("an acknowledgement for {id}, which is not open");
        };
        sent.open.remove(&number);
        if sent.acknowledged.insert(number) {
            kill.count();
        }
        Ok(())
    }
}

/// What a subscriber remembers.
#[derive(Default)]
struct Heard {
    /// Packet ids of QoS 2 that it has and that are not released.
    received: BTreeSet<u16>,
    /// By topic, in the order in which its application had them.
    delivered: BTreeMap<String, Vec<u32>>,
}

pub(super) struct Subscriber {
    options: ConnectOptions,
    qos: u8,
    heard: Mutex<Heard>,
}

impl Subscriber {
    pub(super) fn new(options: ConnectOptions, qos: u8) -> Arc<Self> {
        let heard = Mutex::default();
        Arc::new(Self {
            options,
            qos,
            heard,
        })
    }

    /// Subscribes, so that from now on nothing may be lost.
    pub(super) async fn prepare(&self, address: &str) -> anyhow::Result<()> {
        let mut client = connect(address, &self.options).await?;
        ensure!(client.subscribe(&[("s/#", self.qos)]).await? == [self.qos]);
        client.disconnect(0).await
    }

    /// Takes what comes until it has the last message of every topic, or the server is gone.
    pub(super) async fn run(
        &self,
        address: &str,
        topics: usize,
        count: u32,
        kill: &Kill,
    ) -> anyhow::Result<()> {
        let mut client = connect(address, &self.options).await?;
        while !self.has_all(topics, count) {
            match client.next().await? {
                Packet::Publish(message) => {
                    self.deliver(&message)?;
                    kill.observe(Moment::Delivered);
                    match message.qos {
                        1 => client.ack(4, message.id).await?,
                        2 => {
                            client.ack(5, message.id).await?;
                            kill.observe(Moment::Recorded);
                        }
                        other => anyhow::bail!("a message at QoS {other}"),
                    }
                }
                Packet::Ack(6, id, _) => {
                    self.heard.lock().received.remove(&id);
                    kill.observe(Moment::Freed);
                    client.ack(7, id).await?;
                }
                Packet::Closed => return Err(ConnectionClosed.into()),
                other => anyhow::bail!("the subscriber got {other:?}"),
            }
        }
        Ok(())
    }

    fn deliver(&self, message: &Publish) -> anyhow::Result<()> {
        let number = std::str::from_utf8(&message.payload)?.parse()?;
        let mut heard = self.heard.lock();
        // A message whose id is held was delivered before (MQTT 5 §4.3.3).
        if message.qos != 2 || heard.received.insert(message.id) {
            let topic = heard.delivered.entry(message.topic.clone()).or_default();
            topic.push(number);
        }
        Ok(())
    }

    fn has_all(&self, topics: usize, count: u32) -> bool {
        let heard = self.heard.lock();
        let complete = heard.delivered.values();
        let complete = complete.filter(|numbers| numbers.contains(&(count - 1)));
        complete.count() == topics
    }

    /// Everything is there, in order; what is at QoS 2 all the way, once.
    pub(super) fn check(&self, topics: usize, count: u32) -> anyhow::Result<()> {
        let heard = self.heard.lock();
        ensure!(heard.delivered.len() == topics);
        for (topic, numbers) in &heard.delivered {
            if self.qos == 2 && topic.starts_with("s/2/") {
                let expected: Vec<u32> = (0..count).collect();
                ensure!(*numbers == expected, "{topic} at QoS 2: {numbers:?}");
                continue;
            }
            // What comes again after a kill comes in order too.
            let mut seen = BTreeSet::new();
            let first: Vec<u32> = numbers
                .iter()
                .copied()
                .filter(|n| seen.insert(*n))
                .collect();
            let expected: Vec<u32> = (0..count).collect();
            ensure!(first == expected, "{topic} at QoS 1: {numbers:?}");
        }
        Ok(())
    }
}

async fn connect(address: &str, options: &ConnectOptions) -> anyhow::Result<RawClient> {
    let mut client = RawClient::open(address.parse()?, options.version).await?;
    let connack = client.connect(options).await?;
    ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
    Ok(client)
}
