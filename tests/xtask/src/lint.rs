//! `cargo xtask lint`: everything that can be said about the code without running it.

mod direction;
mod file_names;
mod licences;
mod links;
mod machine_traces;
mod manifests;
mod spdx;
mod steps;
mod unused_dependencies;
mod violation;

use anyhow::{Result, bail};

use crate::lint::violation::Violation;
use crate::repository::Repository;

/// Runs every check, lists every violation, and fails if there is one.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let mut violations = steps::check(repository)?;
    let files = repository.files()?;
    match repository.metadata() {
        Ok(metadata) => {
            violations.extend(direction::check(&metadata));
            violations.extend(licences::check(&metadata));
            violations.extend(manifests::check(&metadata)?);
            let unused = unused_dependencies::check(&metadata, repository.root(), &files)?;
            violations.extend(unused);
        }
        Err(error) => violations.push(Violation::new("Cargo.lock", "graph", format!("{error:#}"))),
    }

    violations.extend(file_names::check(&files));
    violations.extend(machine_traces::check(repository.root(), &files)?);
    violations.extend(links::check(repository.root(), &files)?);

    if violations.is_empty() {
        println!("lint: clean");
        return Ok(());
    }
    println!();
    for violation in &violations {
        println!("{violation}");
    }
    bail!("rules broken: {}", violations.len());
}
