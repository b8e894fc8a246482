//! The loads, each of which runs against any MQTT broker.

mod connections;
mod messages;

pub(crate) use connections::{Idle, Storm};
pub(crate) use messages::{FanIn, FanOut, Messages, Pairs, Users};

use crate::outcome::Outcome;
use crate::target::Target;

/// A load with its size.
pub(crate) trait Scenario {
    fn run(&self, target: &Target) -> anyhow::Result<Outcome>;
}
