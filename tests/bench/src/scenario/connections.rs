//! Loads of connections.

use std::time::Instant;

use anyhow::Context;
use clap::Args;

use super::Scenario;
use crate::outcome::{Outcome, float, micros_each};
use crate::sockets::Sockets;
use crate::target::{Opening, Target};

/// Idle connections with one subscription each: what each costs the broker.
#[derive(Debug, Clone, Args)]
pub(crate) struct Idle {
    /// How many connections.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// What each subscribes to; `{number}` is the connection's number, from 1.
    #[arg(long, default_value = "idle/{number}")]
    pub(crate) filter: String,
    /// Connections that are opened side by side.
    #[arg(long, default_value_t = 64)]
    pub(crate) at_once: usize,
}

fn openings(connections: usize, filter: &str) -> Vec<Opening> {
    let opening = |n: usize| Opening {
        client_id: format!("idle-{n}"),
        filters: vec![filter.replace("{number}", &n.to_string())],
        qos: 1,
    };
    (1..=connections).map(opening).collect()
}

impl Scenario for Idle {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        target.ensure_room(self.connections)?;
        let mut sockets = Sockets::new(target.address)?;
        let openings = openings(self.connections, &self.filter);
        // What the broker allots once, such as its threads' arenas, is not a connection's.
        let mut first = Sockets::new(target.address)?;
        target.open(&mut first, openings.get(..1).context("no connections")?, 1)?;
        drop(first);
        let cpu = target
            .cpu()?
            .context("what a connection costs needs the broker's --pid")?;
        let memory = target.resident_bytes()?;
        target.open(&mut sockets, &openings, self.at_once)?;
        let grown = target.resident_bytes()?.saturating_sub(memory);
        let connections = self.connections as u64;
        let mut outcome = Outcome::default();
        outcome.add("connections", float(connections));
        outcome.add("kib_each", float(grown) / 1024.0 / float(connections));
        outcome.add(
            "connect_cpu_us_each",
            micros_each(cpu.elapsed()?, connections),
        );
        Ok(outcome)
    }
}

/// Connections with one subscription each that are all lost, and come again at once.
#[derive(Debug, Clone, Args)]
pub(crate) struct Storm {
    /// How many connections.
    #[arg(long, default_value_t = 5000)]
    pub(crate) connections: usize,
    /// Connections that are opened side by side; all of them if absent.
    #[arg(long)]
    pub(crate) at_once: Option<usize>,
}

impl Scenario for Storm {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        /// So that the first connections are no storm.
        const CALM: usize = 64;
        target.ensure_room(2 * self.connections)?;
        let mut sockets = Sockets::new(target.address)?;
        let openings = openings(self.connections, "storm/{number}");
        target.open(&mut sockets, &openings, CALM)?;
        let (cpu, began) = (target.cpu()?, Instant::now());
        sockets.close_all();
        let mut sockets = Sockets::new(target.address)?;
        let at_once = self.at_once.unwrap_or(self.connections);
        target.open(&mut sockets, &openings, at_once)?;
        let connections = self.connections as u64;
        let seconds = began.elapsed().as_secs_f64();
        let mut outcome = Outcome::default();
        outcome.add("connections", float(connections));
        outcome.add("reconnects_per_second", float(connections) / seconds);
        if let Some(cpu) = cpu {
            outcome.add(
                "reconnect_cpu_us_each",
                micros_each(cpu.elapsed()?, connections),
            );
        }
        Ok(outcome)
    }
}
