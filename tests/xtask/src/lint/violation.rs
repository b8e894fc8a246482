//! One broken rule in one place.

use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    file: PathBuf,
    rule: &'static str,
    detail: String,
}

impl Violation {
    pub(super) fn new(
        file: impl AsRef<Path>,
        rule: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            file: file.as_ref().to_owned(),
            rule,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: [{}] {}",
            self.file.display(),
            self.rule,
            self.detail
        )
    }
}
