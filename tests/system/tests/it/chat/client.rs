//! A client of any library.

use std::collections::VecDeque;

use anyhow::{Context, bail, ensure};
use partyline_testkit::PATIENCE;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::batch::Batch;
use super::event::{Command, Event};

/// Events and commands that may wait; a test has fewer.
const CAPACITY: usize = 1024;

/// A client of any library: commands go in, events come out.
#[derive(Debug)]
pub(crate) struct Client {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    /// Events that came while another was waited for.
    waiting: VecDeque<Event>,
    /// Runs the library. Its end is the end of the client.
    running: JoinSet<anyhow::Result<()>>,
    /// Where the last batch ended.
    place: Option<u64>,
    /// The first `$session` notice.
    pub(crate) notice: Value,
}

/// The ends of the channels that a library's tasks hold.
pub(crate) struct Ends {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Client {
    /// Runs what `start` makes of the other ends.
    pub(crate) fn run<F>(start: impl FnOnce(Ends) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (commands, taken) = mpsc::channel(CAPACITY);
        let (seen, events) = mpsc::channel(CAPACITY);
        let mut running = JoinSet::new();
        running.spawn(start(Ends {
            commands: taken,
            events: seen,
        }));
        Self {
            commands,
            events,
            waiting: VecDeque::new(),
            running,
            place: None,
            notice: Value::Null,
        }
    }

    /// The next event that `wanted` takes; others wait their turn.
    pub(crate) async fn wait_for<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let found = self.waiting.iter().enumerate();
        if let Some((at, found)) = { found }.find_map(|(at, e)| wanted(e).map(|found| (at, found)))
        {
            self.waiting.remove(at);
            return Ok(found);
        }
        loop {
            let next = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            let Some(event) = next.with_context(|| format!("{what} did not come in time"))? else {
                let ended = self.running.join_next().await;
                bail!("the client ended before {what} came: {ended:?}");
            };
            if let Some(found) = wanted(&event) {
                return Ok(found);
            }
            self.waiting.push_back(event);
        }
    }

    /// The code of the next CONNACK.
    pub(crate) async fn connack(&mut self) -> anyhow::Result<u8> {
        self.wait_for("a CONNACK", |event| match event {
            Event::Connected { code } => Some(*code),
            _ => None,
        })
        .await
    }

    /// The reason of the next end of a connection.
    pub(crate) async fn disconnected(&mut self) -> anyhow::Result<u8> {
        self.wait_for("the end of the connection", |event| match event {
            Event::Disconnected { reason } => Some(*reason),
            _ => None,
        })
        .await
    }

    /// Waits until it is let in and has been told who it is.
    pub(crate) async fn admitted(&mut self) -> anyhow::Result<()> {
        let code = self.connack().await?;
        ensure!(code == 0, "refused with {code:#04x}");
        (self.notice, _) = self.message_on("$session").await?;
        Ok(())
    }

    async fn tell(&mut self, command: Command) -> anyhow::Result<()> {
        let told = self.commands.send(command).await;
        told.ok().context("the client has ended")
    }

    /// Subscribes and returns the codes of the SUBACK.
    pub(crate) async fn subscribe(&mut self, topic: &str) -> anyhow::Result<Vec<u8>> {
        let topic = topic.to_owned();
        self.tell(Command::Subscribe { topic }).await?;
        self.wait_for("a SUBACK", |event| match event {
            Event::Subscribed { codes } => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// The next message on a topic, and its QoS.
    pub(crate) async fn message_on(&mut self, wanted: &str) -> anyhow::Result<(Value, u8)> {
        let (payload, qos) = self
            .wait_for(wanted, |event| match event {
                Event::Message {
                    topic,
                    payload,
                    qos,
                } if topic == wanted => Some((payload.clone(), *qos)),
                _ => None,
            })
            .await?;
        let json = serde_json::from_str(&payload);
        Ok((json.with_context(|| format!("no JSON: {payload}"))?, qos))
    }

    /// Publishes a command; returns its reply and the reason of its PUBACK.
    pub(crate) async fn request(
        &mut self,
        topic: &str,
        request: &Value,
    ) -> anyhow::Result<(Value, u8)> {
        let (topic, payload) = (topic.to_owned(), request.to_string());
        self.tell(Command::Publish { topic, payload }).await?;
        let (reply, _) = self.message_on("$im/reply").await?;
        let reason = self
            .wait_for("a PUBACK", |event| match event {
                Event::Acknowledged { reason } => Some(*reason),
                _ => None,
            })
            .await?;
        Ok((reply, reason))
    }

    /// Where the next batch of the inbox must begin.
    pub(crate) fn begins_at(&mut self, place: u64) {
        self.place = Some(place);
    }

    /// The next batch of the inbox, which must join the one before.
    pub(crate) async fn batch(&mut self) -> anyhow::Result<Batch> {
        let (json, qos) = self.message_on("$im/inbox").await?;
        ensure!(qos == 1, "a batch at qos {qos}");
        let batch = Batch::parse(&json)?;
        let joins = self.place.is_none_or(|place| place == batch.prev);
        ensure!(joins, "after {:?} came {batch:?}", self.place);
        self.place = Some(batch.seq);
        Ok(batch)
    }

    /// The items of the batches up to this place.
    pub(crate) async fn items_to(&mut self, seq: u64) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        while self.place.is_none_or(|place| place < seq) {
            items.extend(self.batch().await?.items);
        }
        ensure!(self.place == Some(seq), "it went beyond {seq}: {items:?}");
        Ok(items)
    }

    /// Asks where its cursor is, until the broker has seen the PUBACK that moves it to `seq`.
    pub(crate) async fn cursor_reaches(&mut self, seq: u64) -> anyhow::Result<()> {
        // Acknowledging nothing answers with the cursor and changes nothing.
        let probe = json!({"epoch": self.notice["epoch"], "seq": 0});
        let reach = async {
            loop {
                let (reply, _) = self.request("$im/inbox/ack", &probe).await?;
                if reply["ok"]["seq"] == seq {
                    return Ok(());
                }
            }
        };
        let reached = tokio::time::timeout(PATIENCE, reach).await;
        reached.context("the cursor did not move")?
    }

    /// Disconnects.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        let Self {
            commands,
            mut events,
            mut running,
            ..
        } = self;
        drop(commands);
        let ended = async {
            while events.recv().await.is_some() {}
            while let Some(ended) = running.join_next().await {
                ended??;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, ended)
            .await
            .context("the client did not end")?
    }
}
