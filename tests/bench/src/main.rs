//! Loads a broker on this machine, checks what arrives, and says what it cost.
//!
//! Figures of one machine mean little: compare brokers in one run.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]

mod chat;
mod compare;
mod load;
mod outcome;
mod packet;
#[cfg(feature = "peer-rumqttd")]
mod peer;
mod plan;
mod process;
mod scenario;
mod sockets;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use anyhow::ensure;
use clap::{Args, Parser, Subcommand};

use scenario::{FanIn, FanOut, Idle, Pairs, Scenario, Storm, Users};
use target::Target;

#[derive(Debug, Parser)]
#[command(name = "partyline-bench", about = "Loads a broker on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Memory of idle connections with one subscription each.
    Idle(Against<Idle>),
    /// Publishers with one receiver each.
    Pairs(Against<Pairs>),
    /// One publisher, many receivers.
    FanOut(Against<FanOut>),
    /// Many publishers, one receiver.
    FanIn(Against<FanIn>),
    /// A topic for each user.
    Users(Against<Users>),
    /// Connections that are all lost, and come again at once.
    Storm(Against<Storm>),
    /// Durable sends between pairs of users that are both online, on a Partyline of its own.
    Chat(chat::Chat),
    /// Starts brokers and runs the loads on each of them in turn.
    Compare(compare::Compare),
    /// An embedded rumqttd, for the comparison.
    #[cfg(feature = "peer-rumqttd")]
    PeerRumqttd(peer::Peer),
}

/// A load against a running broker.
#[derive(Debug, Args)]
struct Against<S: Args> {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    scenario: S,
}

impl<S: Scenario + Args> Against<S> {
    fn run(&self) -> anyhow::Result<()> {
        let outcome = self.scenario.run(&self.target)?;
        println!("{outcome}");
        ensure!(outcome.faults.is_none(), "not all came as it should");
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Idle(idle) => idle.run(),
        Command::Pairs(pairs) => pairs.run(),
        Command::FanOut(fan_out) => fan_out.run(),
        Command::FanIn(fan_in) => fan_in.run(),
        Command::Users(users) => users.run(),
        Command::Storm(storm) => storm.run(),
        Command::Chat(chat) => tokio::runtime::Runtime::new()?.block_on(chat.run()),
        Command::Compare(compare) => compare.run(),
        #[cfg(feature = "peer-rumqttd")]
        Command::PeerRumqttd(peer) => peer.run(),
    }
}
