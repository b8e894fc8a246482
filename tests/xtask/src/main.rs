//! `cargo xtask`: the one entry to what developers and CI run on this repository.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on its standard streams"
)]

mod cargo;
mod lint;
mod repository;
mod size;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::repository::Repository;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks and tests of this repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check formatting, lints, documentation, dependencies, licences, names and links
    Lint,
    /// List the lines of every Rust file, largest first
    Size {
        /// List only files with more lines than this
        #[arg(long, value_name = "LINES", default_value_t = 0)]
        over: usize,
    },
    /// Provide what the tests need, then run all of them
    Test {
        /// Run only tests whose name contains one of these
        filters: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Repository::locate().and_then(|repository| match arguments.command {
        Command::Lint => lint::run(&repository),
        Command::Size { over } => size::run(&repository, over),
        Command::Test { filters } => test::run(&repository, &filters),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
