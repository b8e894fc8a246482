//! The log, on standard error.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Goes before `[log] filter`.
const VARIABLE: &str = "RUST_LOG";

/// Starts logging for the whole process.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(config)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match config.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(anyhow::Error::from_boxed)
    .context("cannot start logging")
}

fn filter(config: &LogConfig) -> anyhow::Result<EnvFilter> {
    match std::env::var(VARIABLE) {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter)
            .with_context(|| format!("environment variable {VARIABLE} is no log filter")),
        _ => EnvFilter::try_new(&config.filter)
            .with_context(|| format!("log.filter {:?} is no log filter", config.filter)),
    }
}
