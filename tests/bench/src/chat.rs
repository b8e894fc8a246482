//! Durable sends: pairs of users, both online, each message acknowledged by broker and receiver.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use partyline_system_tests::Server;
use partyline_testkit::{Backend, Packet, RawClient, Version};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::outcome::{float, micros_each};
use crate::process::Cpu;

#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// PostgreSQL (named by PARTYLINE_TEST_POSTGRES) instead of SQLite.
    #[arg(long)]
    postgres: bool,
    /// Pairs of users.
    #[arg(long, default_value_t = 32)]
    pairs: usize,
    /// Messages of each sender.
    #[arg(long, default_value_t = 500)]
    messages: usize,
    /// Unacknowledged sends of each sender.
    #[arg(long, default_value_t = 1)]
    window: usize,
}

/// No limits, and nothing that falls to retention: the database is what is measured.
const CONFIG: &str = "
[limits]
commands_per_second = 0
[plugins.im]
sends_per_minute = 0
inbox_messages = 1000000
";

impl Chat {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let backend = if self.postgres {
            Backend::Postgres
        } else {
            Backend::Sqlite
        };
        let server = Server::start(backend, CONFIG).await?;
        let mut pairs = Vec::new();
        for n in 0..self.pairs {
            let (from, to) = (format!("from-{n}"), format!("user-{n}"));
            server.add_user(&from).await?;
            server.add_user(&to).await?;
            let sender = server
                .connect(&server.user(Version::V5, &from, "a"))
                .await?;
            let mut receiver = server.connect(&server.user(Version::V5, &to, "b")).await?;
            receiver.subscribe(&[("$im/inbox", 1)]).await?;
            pairs.push((sender, receiver, to));
        }
        let pid = server.pid().context("the server has ended")?;
        let (began, cpu) = (Instant::now(), Cpu::of(pid)?);
        let mut work = JoinSet::new();
        let (count, window) = (self.messages, self.window);
        for (sender, receiver, to) in pairs {
            work.spawn(async move { send(sender, &to, count, window).await.map(Some) });
            work.spawn(async move { receive(receiver, count).await.map(|()| None) });
        }
        let mut latencies = Vec::new();
        let mut acknowledged = Duration::ZERO;
        while let Some(done) = work.join_next().await {
            if let Some(sent) = done?? {
                acknowledged = began.elapsed();
                latencies.extend(sent);
            }
        }
        let delivered = began.elapsed();
        let messages = (self.pairs * count) as u64;
        latencies.sort_unstable();
        let at = |share: usize| latencies.get(latencies.len() * share / 100).copied();
        println!(
            "chat backend={backend:?} pairs={} window={window} messages={messages} \
             sends_per_second={:.0} deliveries_per_second={:.0} ack_p50={:?} ack_p99={:?} \
             broker_cpu_us_each={:.0}",
            self.pairs,
            float(messages) / acknowledged.as_secs_f64(),
            float(messages) / delivered.as_secs_f64(),
            at(50).unwrap_or_default(),
            at(99).unwrap_or_default(),
            micros_each(cpu.elapsed()?, messages),
        );
        server.discard().await
    }
}

async fn send(
    mut sender: RawClient,
    to: &str,
    count: usize,
    window: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(count);
    let mut outstanding = std::collections::VecDeque::new();
    for n in 0..count {
        if outstanding.len() >= window {
            latencies.push(acknowledged(&mut sender, &mut outstanding).await?);
        }
        let request = json!({
            "client_msg_id": format!("{to}-{n}"), "target_type": "single", "target_id": to,
            "msg_type": "text", "msg_body": { "text": format!("message {n}") },
        });
        let id = sender
            .publish("$im/message/send", request.to_string(), 1, false)
            .await?;
        outstanding.push_back((id, Instant::now()));
    }
    while !outstanding.is_empty() {
        latencies.push(acknowledged(&mut sender, &mut outstanding).await?);
    }
    Ok(latencies)
}

async fn acknowledged(
    sender: &mut RawClient,
    outstanding: &mut std::collections::VecDeque<(u16, Instant)>,
) -> anyhow::Result<Duration> {
    let (id, sent) = outstanding.pop_front().context("nothing outstanding")?;
    loop {
        match sender.next().await? {
            Packet::Ack(4, of, reason) => {
                ensure!(
                    of == id && reason == 0,
                    "PUBACK {of} {reason:#04x} instead of {id}"
                );
                return Ok(sent.elapsed());
            }
            Packet::Publish(reply) if reply.topic == "$im/reply" => {
                let reply = reply.json()?;
                let duplicate = reply.pointer("/ok/duplicate").and_then(Value::as_bool);
                ensure!(duplicate == Some(false), "not stored anew: {reply}");
            }
            Packet::Publish(_) => {}
            other => anyhow::bail!("unexpected {other:?}"),
        }
    }
}

/// Takes every message once and in order.
async fn receive(mut receiver: RawClient, count: usize) -> anyhow::Result<()> {
    let (mut seen, mut place) = (0, 0);
    while seen < count {
        let packet = receiver.publish_on("$im/inbox").await?;
        let batch = packet.json()?;
        let number = |name: &str| batch.get(name).and_then(Value::as_u64);
        ensure!(
            number("prev") == Some(place),
            "a gap after {place}: {batch}"
        );
        place = number("seq").context("no seq")?;
        let items = batch
            .get("items")
            .and_then(Value::as_array)
            .context("no items")?;
        for item in items {
            let text = item.pointer("/msg_body/text").and_then(Value::as_str);
            let wanted = format!("message {seen}");
            ensure!(
                text == Some(wanted.as_str()),
                "{text:?} instead of {wanted}"
            );
            seen += 1;
        }
        receiver.puback(packet.id).await?;
    }
    Ok(())
}
