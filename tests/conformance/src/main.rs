//! Runs the conformance suite against a broker and writes the tables.
#![expect(clippy::print_stdout, reason = "the outcomes are the program's output")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use partyline_conformance::{BrokerAddresses, Outcome, OwnBroker, Standard, Table, run_all};

#[derive(Debug, Parser)]
#[command(
    name = "partyline-conformance",
    about = "Tests a broker against the normative statements of MQTT 3.1.1 and 5.0"
)]
struct Cli {
    /// Where the broker listens for MQTT over TCP. It must let everybody in and allow every topic.
    /// Without this, it is our own, in this process.
    #[arg(long)]
    address: Option<SocketAddr>,
    /// Where it listens for MQTT over WebSocket.
    #[arg(long, requires = "address")]
    websocket: Option<SocketAddr>,
    /// Only this version: 3.1.1 or 5.0.
    #[arg(long)]
    standard: Option<String>,
    /// Writes the tables of results into this folder.
    #[arg(long, conflicts_with = "filter")]
    write: Option<PathBuf>,
    /// Only cases with this in their name or in the id of a statement.
    #[arg(default_value = "")]
    filter: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let own = match cli.address {
        Some(_) => None,
        None => Some(OwnBroker::start().await?),
    };
    let broker = match (&own, cli.address) {
        (Some(own), _) => own.addresses(),
        (None, mqtt) => BrokerAddresses {
            mqtt: mqtt.unwrap_or_else(|| ([127, 0, 0, 1], 1883).into()),
            websocket: cli.websocket,
        },
    };
    let mut failed = 0;
    for standard in Standard::ALL {
        let number = standard.number();
        if cli.standard.as_ref().is_some_and(|only| only != number) {
            continue;
        }
        let mut passed = 0;
        let results = run_all(standard, &cli.filter, broker, |case, outcome| {
            let statements = case.statements.join(" ");
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) => {
                    failed += 1;
                    println!("{number} FAILED {} [{statements}]: {why}", case.name);
                }
                Outcome::NotOffered(why) => println!("{number} not run {}: {why}", case.name),
            }
        })
        .await;
        println!("{number}: {passed} of {} cases passed", results.len());
        if let Some(docs) = &cli.write {
            Table::new(standard, results).write(docs)?;
        }
    }
    if let Some(own) = own {
        own.stop().await;
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
