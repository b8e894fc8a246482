//! Several brokers under the same loads, in turn, and the medians side by side.
//!
//! Each load meets a broker that was started for it. Run after run every broker has its turn, so that
//! what the machine does besides falls on all of them.

mod brokers;
mod loads;
mod table;

use anyhow::ensure;
use clap::Args;

use brokers::Kind;
use loads::loads;
use table::Table;

use crate::outcome::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// `[NAME:]partyline=PROGRAM`, `[NAME:]mosquitto=PROGRAM` or `[NAME:]rumqttd` (needs the feature
    /// `peer-rumqttd`); the first is compared with each of the others.
    #[arg(long = "broker", required_unless_present = "list")]
    brokers: Vec<String>,
    /// How often each load is run on each broker; the median is shown.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only these loads.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Names the loads, and does nothing else.
    #[arg(long)]
    list: bool,
}

impl Compare {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut loads = loads();
        if self.list {
            for load in &loads {
                println!("{}", load.name);
            }
            return Ok(());
        }
        for name in &self.only {
            let known = loads.iter().any(|load| load.name == name);
            ensure!(known, "no load is called {name}; --list names them");
        }
        if !self.only.is_empty() {
            loads.retain(|load| self.only.iter().any(|name| name == load.name));
        }
        let brokers = (self.brokers.iter())
            .map(|broker| Kind::parse(broker))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let names = brokers.iter().map(|(name, _)| name.clone()).collect();
        let mut table = Table::new(names);
        let mut failed = 0_usize;
        for run in 0..self.runs {
            for load in &loads {
                for turn in 0..brokers.len() {
                    let at = (run + turn) % brokers.len();
                    let Some((name, kind)) = brokers.get(at) else {
                        continue;
                    };
                    let outcome = one(kind, load);
                    match &outcome {
                        Ok(outcome) => println!("{} {name} {outcome}", load.name),
                        Err(error) => {
                            failed += 1;
                            println!("{} {name} failed: {error:#}", load.name);
                        }
                    }
                    table.add(at, load, outcome.ok().as_ref());
                }
            }
        }
        println!("\n{table}");
        ensure!(failed == 0, "{failed} runs failed");
        Ok(())
    }
}

fn one(kind: &Kind, load: &loads::Load) -> anyhow::Result<Outcome> {
    let broker = kind.start()?;
    let outcome = load.scenario.run(&broker.target())?;
    ensure!(outcome.faults.is_none(), "{}", outcome.faults);
    Ok(outcome)
}
