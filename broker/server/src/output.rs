//! What the program prints: results on standard output, errors on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

/// For people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// Prints a result and flushes it, so that who waits for the line gets it.
    pub(crate) fn print(self, text: impl Display, json: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Text => write!(out, "{text}")?,
            Self::Json => serde_json::to_writer(&mut out, json)?,
        }
        writeln!(out)?;
        out.flush()
    }

    /// Prints why the program failed. Nothing can be done if that fails too.
    pub(crate) fn print_error(self, error: &anyhow::Error) {
        let clauses = clauses(error);
        let line = match self {
            Self::Text => format!("error: {}", clauses.join(": ")),
            Self::Json => {
                let (message, causes) = clauses.split_first().unzip();
                json!({ "error": { "message": message, "causes": causes } }).to_string()
            }
        };
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Prints what is wrong with the arguments, or the help that was asked for.
    pub(crate) fn print_usage(self, error: &clap::Error) {
        if self == Self::Text || !error.use_stderr() {
            let _ = error.print();
            return;
        }
        let text = error.render().to_string();
        let message = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let line = json!({ "error": { "message": message, "causes": [] } });
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// Whether nobody reads what is printed, as after `| head`.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    // Other pipes, such as the database's, break deeper down in the chain.
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The chain of causes, each in one line, without those that the one before already tells.
fn clauses(error: &anyhow::Error) -> Vec<String> {
    let mut clauses: Vec<String> = Vec::new();
    for cause in error.chain() {
        let clause = cause
            .to_string()
            .lines()
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(", ");
        if !clauses.last().is_some_and(|last| last.contains(&clause)) {
            clauses.push(clause);
        }
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_one_line_without_repetition() {
        let error = anyhow::anyhow!("no such\n  table").context("failed: no such, table");
        let error = error.context("cannot start");
        assert_eq!(clauses(&error), ["cannot start", "failed: no such, table"]);
    }
}
