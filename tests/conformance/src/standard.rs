//! A version of the standard and its chapters.

use partyline_testkit::Version;

use crate::{Case, Statement, v5, v311};

/// A version of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// MQTT 3.1.1, OASIS Standard, 29 October 2014.
    V311,
    /// MQTT 5.0, OASIS Standard, 7 March 2019.
    V5,
}

/// The statements of some sections and their cases.
#[derive(Debug, Clone, Copy)]
pub struct Chapter {
    /// What it is about; with the module's name, the first part of its tests' names.
    pub title: &'static str,
    /// Its statements, in the order of the standard.
    pub statements: &'static [Statement],
    /// Its cases.
    pub cases: &'static [Case],
}

impl Standard {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V311, Self::V5];

    /// The number of the version.
    pub fn number(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }

    /// What its clients speak.
    pub fn version(self) -> Version {
        match self {
            Self::V311 => Version::V311,
            Self::V5 => Version::V5,
        }
    }

    /// Its chapters, in order.
    pub fn chapters(self) -> &'static [Chapter] {
        match self {
            Self::V311 => v311::CHAPTERS,
            Self::V5 => v5::CHAPTERS,
        }
    }

    /// Its statements, in order.
    pub fn statements(self) -> impl Iterator<Item = &'static Statement> {
        { self.chapters().iter() }.flat_map(|chapter| chapter.statements)
    }

    /// Its cases, in order.
    pub fn cases(self) -> impl Iterator<Item = &'static Case> {
        { self.chapters().iter() }.flat_map(|chapter| chapter.cases)
    }

    /// The cases that test a statement.
    pub fn cases_of(self, statement: &str) -> impl Iterator<Item = &'static Case> {
        self.cases()
            .filter(move |case| case.statements.contains(&statement))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Binds;

    /// The numbers of an id, by which the appendix orders them.
    fn key(id: &str) -> Vec<u32> {
        id.strip_prefix("MQTT-")
            .unwrap()
            .split(['.', '-'])
            .map(|number| number.parse().unwrap())
            .collect()
    }

    #[test]
    fn statements_are_unique_and_in_order() {
        for standard in Standard::ALL {
            let ids: Vec<_> = standard.statements().map(|one| key(one.id)).collect();
            for pair in ids.windows(2) {
                assert!(pair[0] < pair[1], "{standard:?}: {pair:?}");
            }
        }
    }

    #[test]
    fn every_statement_that_binds_a_server_has_a_case_and_no_other_has_one() {
        for standard in Standard::ALL {
            for statement in standard.statements() {
                let tested = standard.cases_of(statement.id).next().is_some();
                let binds = statement.binds == Binds::Server;
                assert_eq!(binds, tested, "{}", statement.id);
            }
        }
    }

    #[test]
    fn cases_have_names_of_their_own_and_test_statements_that_exist() {
        for standard in Standard::ALL {
            let known: HashSet<_> = standard.statements().map(|one| one.id).collect();
            let mut names = HashSet::new();
            for case in standard.cases() {
                assert!(names.insert(case.name), "two cases {}", case.name);
                for statement in case.statements {
                    assert!(known.contains(statement), "{}: {statement}", case.name);
                }
            }
        }
    }
}
