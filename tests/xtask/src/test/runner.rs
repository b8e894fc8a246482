//! Builds the broker and the tests and runs them.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::Message;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use crate::cargo;
use crate::repository::Repository;
use crate::test::supervised::{Stop, Supervised};
use crate::test::tally::Tally;
use crate::test::{Environment, machine};

/// The package whose binary is the product.
const BROKER: &str = "partyline";

/// nextest gives its tests 10 seconds to stop, so it needs a little more itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// Builds the broker, unoptimised like the tests, and returns the path of its binary.
pub(super) async fn build_broker(repository: &Repository) -> Result<PathBuf> {
    let mut build = Command::new(cargo::program());
    build
        .args(["build", "--package", BROKER, "--locked"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(repository.root())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let output = build.output().await.context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("the broker does not build");
    }
    let executables = Message::parse_stream(output.stdout.as_slice()).filter_map(|message| {
        let Ok(Message::CompilerArtifact(artifact)) = message else {
            return None;
        };
        artifact
            .executable
            .filter(|_| artifact.target.name == BROKER)
    });
    let binary = executables.last();
    binary
        .map(cargo_metadata::camino::Utf8PathBuf::into_std_path_buf)
        .ok_or_else(|| anyhow!("package {BROKER} built no binary {BROKER}"))
}

pub(super) struct Runner<'run> {
    repository: &'run Repository,
    filters: &'run [String],
    nextest: bool,
}

/// What a test run came to. Failing tests are an outcome, not an error.
pub(super) struct Outcome {
    pub(super) succeeded: bool,
    pub(super) tally: Option<Tally>,
}

/// Whose closing lines to look for. nextest writes them to stderr, once; libtest writes them to
/// stdout, once for every test binary.
#[derive(Clone, Copy)]
enum Format {
    Nextest,
    Libtest,
}

impl<'run> Runner<'run> {
    /// Takes nextest where it is installed, for its time limits and groups.
    pub(super) async fn choose(repository: &'run Repository, filters: &'run [String]) -> Self {
        let mut version = Command::new(cargo::program());
        version
            .args(["nextest", "--version"])
            .current_dir(repository.root());
        let nextest = machine::output(&mut version).await.is_ok();
        Self {
            repository,
            filters,
            nextest,
        }
    }

    pub(super) async fn build(&self) -> Result<()> {
        let mut build = if self.nextest {
            self.cargo(&["nextest", "run", "--no-run", "--cargo-quiet"])
        } else {
            self.cargo(&["test", "--no-run", "--quiet"])
        };
        machine::succeed(&mut build)
            .await
            .context("the tests do not build")
    }

    pub(super) async fn run_tests(&self, environment: &Environment) -> Result<Outcome> {
        if !self.nextest {
            let mut test = self.cargo(&["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
            test.arg("--").args(self.filters);
            return follow(test.envs(environment.iter().cloned()), Format::Libtest).await;
        }
        let mut test = self.cargo(&["nextest", "run", "--no-fail-fast", "--no-tests=pass"]);
        if std::io::stderr().is_terminal() {
            test.args(["--color", "always"]);
        }
        test.arg("--").args(self.filters);
        follow(test.envs(environment.iter().cloned()), Format::Nextest).await
    }

    pub(super) async fn run_doctests(&self, environment: &Environment) -> Result<Outcome> {
        let mut test = self.cargo(&["test", "--doc", "--no-fail-fast"]);
        test.arg("--").args(self.filters);
        follow(test.envs(environment.iter().cloned()), Format::Libtest).await
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo::program());
        command
            .args(arguments)
            .args(["--workspace", "--locked"])
            .current_dir(self.repository.root())
            .stdin(Stdio::null());
        command
    }
}

/// Runs to the end, passes all output on, and counts the closing lines on the way.
async fn follow(command: &mut Command, format: Format) -> Result<Outcome> {
    match format {
        Format::Nextest => command.stderr(Stdio::piped()),
        Format::Libtest => command.stdout(Stdio::piped()),
    };
    let stop = Stop {
        signal: "INT",
        whole_group: true,
        patience: PATIENCE,
    };
    let mut runner = Supervised::spawn(command, stop)?;
    let mut tally = None;
    if let Some(stderr) = runner.child().stderr.take() {
        let print = |line: &str| {
            eprintln!("{line}");
            tally = Tally::of_nextest(line).or(tally);
        };
        each_line(stderr, print).await?;
    }
    if let Some(stdout) = runner.child().stdout.take() {
        let print = |line: &str| {
            println!("{line}");
            if let Some(counted) = Tally::of_libtest(line) {
                tally = Some(tally.map_or(counted, |sum: Tally| sum.plus(counted)));
            }
        };
        each_line(stdout, print).await?;
    }
    let status = runner
        .child()
        .wait()
        .await
        .context("cannot wait for the tests")?;
    Ok(Outcome {
        succeeded: status.success(),
        tally,
    })
}

async fn each_line(stream: impl AsyncRead + Unpin, mut take: impl FnMut(&str)) -> Result<()> {
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Some(line) = lines
        .next_segment()
        .await
        .context("cannot read the test output")?
    {
        take(&String::from_utf8_lossy(&line));
    }
    Ok(())
}
