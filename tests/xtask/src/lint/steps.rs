//! The checks that Rust's own tools make.

use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo;
use crate::lint::violation::Violation;
use crate::repository::Repository;

struct Step {
    rule: &'static str,
    arguments: &'static [&'static str],
}

const STEPS: [Step; 3] = [
    Step {
        rule: "fmt",
        arguments: &["fmt", "--all", "--check"],
    },
    Step {
        rule: "clippy",
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    },
    Step {
        rule: "doc",
        arguments: &["doc", "--workspace", "--no-deps", "--locked"],
    },
];

/// Runs all steps, with their output passed through, and names those that failed.
pub(super) fn check(repository: &Repository) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for step in &STEPS {
        let command_line = format!("cargo {}", step.arguments.join(" "));
        println!("lint: {command_line}");
        let status = Command::new(cargo::program())
            .args(step.arguments)
            .current_dir(repository.root())
            .env("RUSTDOCFLAGS", "-D warnings")
            .status()
            .with_context(|| format!("cannot run {command_line}"))?;
        if !status.success() {
            let detail = format!("`{command_line}` failed, see above");
            violations.push(Violation::new("Cargo.toml", step.rule, detail));
        }
    }
    Ok(violations)
}
