//! Loads a broker on this machine, checks what arrives, and says what it cost.
//!
//! Figures of one machine mean little: compare brokers in one run.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]

mod chat;
mod idle;
mod process;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "partyline-bench", about = "Loads a broker on this machine")]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Memory of idle connections with one subscription each, on any MQTT broker.
    Idle(idle::Idle),
    /// Durable sends between pairs of users that are both online, on a Partyline of its own.
    Chat(chat::Chat),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().scenario {
        Scenario::Idle(idle) => idle.run().await,
        Scenario::Chat(chat) => chat.run().await,
    }
}
