//! Loads of messages.

use clap::Args;

use super::Scenario;
use crate::load::{Load, Pace};
use crate::outcome::{Outcome, micros_each};
use crate::plan::Plan;
use crate::target::Target;

#[derive(Debug, Clone, Args)]
pub(crate) struct Messages {
    /// Of publications and subscriptions: 0 or 1.
    #[arg(long, default_value_t = 0)]
    pub(crate) qos: u8,
    /// Bytes of each payload; 20 at least.
    #[arg(long, default_value_t = 100)]
    pub(crate) payload: usize,
    /// Messages that each publisher has on the way.
    #[arg(long, default_value_t = 100)]
    pub(crate) window: usize,
    /// Messages a second of all publishers together; saturated if absent.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
}

impl Messages {
    pub(crate) fn at(qos: u8, window: usize) -> Self {
        Self {
            qos,
            payload: 100,
            window,
            rate: None,
        }
    }

    fn pace(&self) -> Pace {
        Pace {
            qos: self.qos,
            payload: self.payload,
            window: self.window,
            rate: self.rate,
            ..Pace::default()
        }
    }

    /// A tenth of the messages to warm up, and then all of them.
    fn run(&self, target: &Target, plan: Plan, messages: u64) -> anyhow::Result<Outcome> {
        let flows = plan.flows.len().max(1) as u64;
        let each = messages.div_ceil(flows);
        let mut load = Load::open(target, plan, self.pace())?;
        load.pass(each.div_ceil(10))?;
        let mut outcome = Outcome::default();
        outcome.add_pass(&load.pass(each)?);
        outcome.faults = load.faults();
        Ok(outcome)
    }
}

/// Publishers with one receiver each.
#[derive(Debug, Clone, Args)]
pub(crate) struct Pairs {
    #[arg(long = "pairs", default_value_t = 10)]
    pub(crate) count: u32,
    /// Of all pairs together.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) messages: u64,
    #[command(flatten)]
    pub(crate) how: Messages,
}

impl Scenario for Pairs {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        self.how.run(target, Plan::pairs(self.count), self.messages)
    }
}

/// One publisher with many receivers. Its figures are of each delivery.
#[derive(Debug, Clone, Args)]
pub(crate) struct FanOut {
    #[arg(long, default_value_t = 200)]
    pub(crate) receivers: u32,
    #[arg(long, default_value_t = 2000)]
    pub(crate) messages: u64,
    #[command(flatten)]
    pub(crate) how: Messages,
}

impl Scenario for FanOut {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        self.how
            .run(target, Plan::fan_out(self.receivers), self.messages)
    }
}

/// Many publishers with one receiver. The windows of all of them together must fit into what the
/// broker queues for it.
#[derive(Debug, Clone, Args)]
pub(crate) struct FanIn {
    #[arg(long, default_value_t = 50)]
    pub(crate) publishers: u32,
    /// Of all publishers together.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) messages: u64,
    #[command(flatten)]
    pub(crate) how: Messages,
}

impl Scenario for FanIn {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        self.how
            .run(target, Plan::fan_in(self.publishers), self.messages)
    }
}

/// A topic for each user: every message goes to another topic, each with one receiver. The first
/// pass is the first message that the broker sees on each topic.
#[derive(Debug, Clone, Args)]
pub(crate) struct Users {
    #[arg(long, default_value_t = 5000)]
    pub(crate) topics: u32,
    /// Topics that each connection subscribes to.
    #[arg(long, default_value_t = 1)]
    pub(crate) topics_each: u32,
    #[arg(long, default_value_t = 10)]
    pub(crate) publishers: u32,
    #[command(flatten)]
    pub(crate) how: Messages,
}

impl Scenario for Users {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome> {
        let plan = Plan::users(self.topics, self.publishers, self.topics_each);
        let mut load = Load::open(target, plan, self.how.pace())?;
        let (first, second) = (load.pass(1)?, load.pass(1)?);
        let mut outcome = Outcome::default();
        outcome.add_pass(&second);
        if let (Some(one), Some(two)) = (first.cpu, second.cpu) {
            outcome.add("first_cpu_us_each", micros_each(one, first.deliveries));
            outcome.add("second_cpu_us_each", micros_each(two, second.deliveries));
        }
        outcome.faults = load.faults();
        Ok(outcome)
    }
}
