//! A file is named for its idea.

use std::path::{Path, PathBuf};

use crate::lint::violation::Violation;

/// Names that say nothing, so that anything goes in.
const EMPTY_NAMES: [&str; 5] = ["utils.rs", "common.rs", "helpers.rs", "types.rs", "misc.rs"];

pub(super) fn check(files: &[PathBuf]) -> Vec<Violation> {
    files
        .iter()
        .filter_map(|file| Some(Violation::new(file, "file-name", objection(file)?)))
        .collect()
}

fn objection(file: &Path) -> Option<&'static str> {
    let name = file.file_name()?.to_str()?;
    // Under `tests/`, Cargo takes every top-level file for a test, so `support/mod.rs` is right.
    let in_sources = file.iter().any(|folder| folder == "src");
    if name == "mod.rs" && in_sources {
        return Some("write `foo.rs` beside `foo/`, not `foo/mod.rs`");
    }
    EMPTY_NAMES
        .contains(&name)
        .then_some("name the file for the idea it holds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mod_rs_is_refused_in_sources_only() {
        assert!(objection(Path::new("plugins/im/src/store/mod.rs")).is_some());
        assert!(objection(Path::new("plugins/im/tests/it/support/mod.rs")).is_none());
    }

    #[test]
    fn empty_names_are_refused_everywhere() {
        assert!(objection(Path::new("plugins/im/src/utils.rs")).is_some());
        assert!(objection(Path::new("plugins/im/tests/it/helpers.rs")).is_some());
        assert!(objection(Path::new("plugins/im/src/message_types.rs")).is_none());
    }
}
