//! The table of statements, tests and results.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::{Binds, Outcome, Standard, Statement};

/// The table of one standard, as it stands in `docs/`.
#[derive(Debug)]
pub struct Table {
    standard: Standard,
    results: BTreeMap<&'static str, Outcome>,
}

impl Table {
    /// Of these outcomes by case, all cases of the standard.
    pub fn new(standard: Standard, results: BTreeMap<&'static str, Outcome>) -> Self {
        Self { standard, results }
    }

    /// Writes it into the folder of the documents.
    pub fn write(&self, docs: &Path) -> anyhow::Result<()> {
        let path = file(self.standard, docs);
        std::fs::write(&path, self.text())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn text(&self) -> String {
        let number = self.standard.number();
        let mut rows = String::new();
        let mut tally = Tally::default();
        for chapter in self.standard.chapters() {
            let _ = write!(rows, "\n## {}\n\n{HEAD}\n", chapter.title);
            for statement in chapter.statements {
                let result = self.result(statement);
                tally.count(statement, result);
                let _ = writeln!(rows, "{} {result} |", fixed(self.standard, statement));
            }
        }
        format!(
            "# Conformance to MQTT {number}\n\n\
             Every normative statement of the OASIS standard MQTT {number}, by the ids of its appendix and \
             in our own words. A\nstatement that binds servers has tests in `tests/conformance`, which \
             fail on a broker that breaks it. The result\nis that of the last run against Partyline: \
             `cargo run -p partyline-conformance -- --write docs`.\n\n{tally}{rows}"
        )
    }

    /// `passed` only if all cases of the statement did.
    fn result(&self, statement: &Statement) -> &'static str {
        if statement.binds != Binds::Server {
            return NONE;
        }
        let mut cases = self.standard.cases_of(statement.id).peekable();
        let passed = |name| self.results.get(name) == Some(&Outcome::Passed);
        if cases.peek().is_some() && cases.all(|case| passed(case.name)) {
            PASSED
        } else {
            FAILED
        }
    }
}

const HEAD: &str = "| statement | what it asks | test | result |\n|---|---|---|---|";
const PASSED: &str = "passed";
const FAILED: &str = "failed";
const NONE: &str = "–";

fn file(standard: Standard, docs: &Path) -> PathBuf {
    docs.join(format!("conformance-{}.md", standard.number()))
}

/// A row without its result.
fn fixed(standard: Standard, statement: &Statement) -> String {
    let test = match statement.binds {
        Binds::Server => {
            let names = standard.cases_of(statement.id);
            let names: Vec<_> = names.map(|case| format!("`{}`", case.name)).collect();
            names.join(", ")
        }
        Binds::Client => "only a client can break it".to_owned(),
        Binds::Unseen(why) => format!("none: {why}"),
    };
    let asks = statement.asks.replace('|', "\\|");
    format!("| {} | {asks} | {test} |", statement.id)
}

#[derive(Default)]
struct Tally {
    statements: usize,
    server: usize,
    passed: usize,
    client: usize,
    unseen: usize,
}

impl Tally {
    fn count(&mut self, statement: &Statement, result: &str) {
        self.statements += 1;
        match statement.binds {
            Binds::Server => self.server += 1,
            Binds::Client => self.client += 1,
            Binds::Unseen(_) => self.unseen += 1,
        }
        self.passed += usize::from(result == PASSED);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "Of {} statements, {} bind servers visibly, and {} of these pass; {} bind only clients; {} cannot be \
             tested\nthrough a socket.",
            self.statements, self.server, self.passed, self.client, self.unseen
        )
    }
}

/// Checks that the committed table of a standard has the catalogue's rows, and a result in each.
pub fn check_committed(standard: Standard, docs: &Path) -> anyhow::Result<()> {
    let path = file(standard, docs);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let again = "write the table again: cargo run -p partyline-conformance -- --write docs";
    let mut rows = text.lines().filter(|line| line.starts_with("| MQTT-"));
    for statement in standard.statements() {
        let row = rows.next().unwrap_or_default();
        let result = row.strip_prefix(&fixed(standard, statement)).map(str::trim);
        let wanted: &[&str] = match statement.binds {
            Binds::Server => &["passed |", "failed |"],
            _ => &["– |"],
        };
        let agrees = result.is_some_and(|result| wanted.contains(&result));
        ensure!(agrees, "{} has {row:?}; {again}", statement.id);
    }
    ensure!(rows.next().is_none(), "rows too many; {again}");
    Ok(())
}
