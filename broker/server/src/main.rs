//! The `partyline` binary: arguments, configuration, logging, and which plugins run.

mod catalogue;
mod cli;
mod config;
mod data_dir;
mod directory;
mod logging;
mod output;
mod serve;

use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command, ConfigCommand, GlobalArgs, ServeArgs};
use crate::config::Config;
use crate::output::Output;

fn main() -> ExitCode {
    let (global, command) = match Cli::read() {
        Ok(read) => read,
        Err(error) => {
            // What was not understood may still say how to answer.
            Output::new(std::env::args_os().any(|arg| arg == "--json")).print_usage(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let output = Output::new(global.json);
    run(&global, command, output).unwrap_or_else(|error| {
        if output::is_closed(&error) {
            // As of a process that SIGPIPE ends: whoever read it has seen enough.
            return ExitCode::from(141);
        }
        output.print_error(&error);
        ExitCode::FAILURE
    })
}

fn run(global: &GlobalArgs, command: Command, output: Output) -> anyhow::Result<ExitCode> {
    let flags = match &command {
        Command::Serve(flags) => *flags,
        _ => ServeArgs::default(),
    };
    let config = Config::load(global, &flags)?;
    let done = |()| ExitCode::SUCCESS;
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let code = runtime.block_on(async {
        match command {
            Command::Serve(_) => {
                logging::start(&config.log)?;
                serve::serve(config, global, &flags, output).await
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
