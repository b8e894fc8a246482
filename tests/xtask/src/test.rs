//! `cargo xtask test`: provides what the tests need, runs all of them, and clears up.

mod machine;
mod needs;
mod node;
mod phases;
mod postgres;
mod python;
mod runner;
mod supervised;
mod tally;

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::repository::Repository;
use crate::test::phases::Phases;
use crate::test::postgres::Cluster;
use crate::test::tally::Tally;

/// Where tests find what we provide. A variable is always set, never a reason to skip a test.
type Environment = Vec<(&'static str, OsString)>;

pub(crate) fn run(repository: &Repository, filters: &[String]) -> Result<()> {
    // One thread: the database server is told to die with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut phases = Phases::default();
        // What a dropped future holds is stopped and removed by its own `Drop`.
        let outcome = tokio::select! {
            outcome = provide_and_run(repository, filters, &mut phases) => outcome,
            interruption = interruption() => Err(interruption),
        };
        println!();
        phases.print();
        let (tally, succeeded) = outcome?;
        if let Some(tally) = tally {
            println!("{tally}");
            if succeeded && tally.is_empty() {
                bail!("no test matches {}", filters.join(" "));
            }
        }
        if !succeeded {
            bail!("tests failed");
        }
        Ok(())
    })
}

async fn provide_and_run(
    repository: &Repository,
    filters: &[String],
    phases: &mut Phases,
) -> Result<(Option<Tally>, bool)> {
    phases.time("needs", needs::provide()).await?;
    let python = phases.time("python", python::provide(repository)).await?;
    let node_modules = phases.time("node", node::provide(repository)).await?;
    let broker = phases
        .time("build broker", runner::build_broker(repository))
        .await?;
    let runner = runner::Runner::choose(repository, filters).await;
    phases.time("build tests", runner.build()).await?;
    let cluster = phases.time("postgres", Cluster::start(repository)).await?;

    let environment: Environment = vec![
        ("PARTYLINE_TEST_POSTGRES", cluster.url().into()),
        ("PARTYLINE_TEST_PYTHON", python.into()),
        ("PARTYLINE_TEST_NODE_MODULES", node_modules.into()),
        ("PARTYLINE_TEST_BINARY", broker.into()),
    ];
    let tests = phases.time("tests", runner.run_tests(&environment)).await?;
    let doctests = phases
        .time("doctests", runner.run_doctests(&environment))
        .await?;
    let succeeded = tests.succeeded && doctests.succeeded;
    // If one part ended without its closing line, a sum would be wrong: say nothing then.
    let tally = tests
        .tally
        .zip(doctests.tally)
        .map(|(tests, doctests)| tests.plus(doctests));
    Ok((tally, succeeded))
}

/// Completes when someone wants this run to end early.
async fn interruption() -> anyhow::Error {
    let wait = async || -> Result<&'static str> {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
        let mut hang_up = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
        Ok(tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hang_up.recv() => "SIGHUP",
        })
    };
    match wait().await {
        Ok(signal) => anyhow::anyhow!("stopped by {signal}"),
        Err(error) => error,
    }
}
