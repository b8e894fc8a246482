//! The `partyline` program: arguments, configuration, logging, and which plugins run.
//!
//! An operator who wants plugins of others beside those that come with Partyline builds a program of
//! their own, with the same command line and configuration:
//!
//! ```no_run
//! # use partyline_acl::Acl as Mine;
//! fn main() -> std::process::ExitCode {
//!     partyline::App::new().plugin::<Mine>().run()
//! }
//! ```
#![warn(missing_docs)]

mod catalogue;
mod cli;
mod config;
mod data_dir;
mod directory;
mod logging;
mod output;
mod serve;

use std::process::ExitCode;

use anyhow::{Context, bail};
use partyline_plugin::Plugin;
use tokio::runtime::Runtime;

use crate::catalogue::Catalogue;
use crate::cli::{Cli, Command, ConfigCommand, GlobalArgs, ServeArgs};
use crate::config::Config;
use crate::output::Output;

/// The program, and the plugins that it is built with.
///
/// Each plugin that comes with Partyline is in it. Which of them run, and in which order their hooks
/// are asked, says `[plugins] enabled` in the configuration; a plugin that is not named there is
/// only known.
#[derive(Debug, Default)]
pub struct App {
    catalogue: Catalogue,
}

impl App {
    /// With the plugins that come with Partyline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin. If another has its id, the program ends with an error.
    #[must_use]
    pub fn plugin<P: Plugin>(mut self) -> Self {
        self.catalogue.add::<P>();
        self
    }

    /// Does what the command line says, and returns the exit code. Without a command it serves,
    /// until SIGTERM or SIGINT.
    pub fn run(self) -> ExitCode {
        let (global, command) = match Cli::read() {
            Ok(read) => read,
            Err(error) => {
                // What was not understood may still say how to answer.
                Output::new(std::env::args_os().any(|arg| arg == "--json")).print_usage(&error);
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
        };
        let output = Output::new(global.json);
        run(&self.catalogue, &global, command, output).unwrap_or_else(|error| {
            if output::is_closed(&error) {
                // As of a process that SIGPIPE ends: whoever read it has seen enough.
                return ExitCode::from(141);
            }
            output.print_error(&error);
            ExitCode::FAILURE
        })
    }
}

fn run(
    catalogue: &Catalogue,
    global: &GlobalArgs,
    command: Command,
    output: Output,
) -> anyhow::Result<ExitCode> {
    if let Some(id) = catalogue.repeated() {
        bail!("two plugins of this program are named {id}");
    }
    let flags = match &command {
        Command::Serve(flags) => *flags,
        _ => ServeArgs::default(),
    };
    let config = Config::load(catalogue, global, &flags)?;
    let done = |()| ExitCode::SUCCESS;
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let code = runtime.block_on(async {
        match command {
            Command::Serve(_) => {
                logging::start(&config.log)?;
                serve::serve(catalogue, config, global, &flags, output).await
            }
            Command::App(command) => directory::app(command, &config, global, output)
                .await
                .map(done),
            Command::User(command) => directory::user(command, &config, global, output)
                .await
                .map(done),
            Command::Acl(command) => directory::acl(command, &config, global, output)
                .await
                .map(done),
            Command::Config(ConfigCommand::Show) => config::show(&config, output).map(done),
        }
    });
    // Whatever still runs after a second signal is left behind.
    runtime.shutdown_background();
    code
}
