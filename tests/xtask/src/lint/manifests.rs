//! The root manifest says everything once: versions and lints.

use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use toml::{Table, Value};

use crate::lint::violation::Violation;

/// It is copied out of the tree, so it says everything itself.
const TEMPLATE: &str = "examples/plugin-template/Cargo.toml";

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(metadata: &Metadata) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for package in metadata.workspace_packages() {
        let path = &package.manifest_path;
        let shown = path.strip_prefix(&metadata.workspace_root).unwrap_or(path);
        if shown == TEMPLATE {
            continue;
        }
        let content = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let manifest: Table = content
            .parse()
            .with_context(|| format!("cannot parse {path}"))?;
        let objections = objections(&manifest).into_iter();
        violations.extend(objections.map(|detail| Violation::new(shown, "manifest", detail)));
    }
    Ok(violations)
}

fn objections(manifest: &Table) -> Vec<String> {
    let mut objections = own_versions(manifest);
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        objections.extend(
            targets
                .values()
                .filter_map(Value::as_table)
                .flat_map(own_versions),
        );
    }
    if !manifest.get("lints").is_some_and(is_inherited) {
        objections.push("does not say `[lints] workspace = true`".to_owned());
    }
    objections
}

fn own_versions(table: &Table) -> Vec<String> {
    let sections = SECTIONS
        .iter()
        .filter_map(|section| table.get(*section)?.as_table());
    let own = sections
        .flatten()
        .filter(|(_, dependency)| !is_inherited(dependency));
    own.map(|(name, _)| format!("`{name}` must be `{{ workspace = true }}`"))
        .collect()
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objections_to(manifest: &str) -> Vec<String> {
        objections(&manifest.parse().unwrap())
    }

    #[test]
    fn a_member_that_inherits_everything_passes() {
        let manifest = "
            [lints]
            workspace = true
            [dependencies]
            one = { workspace = true, features = ['extra'] }
            two.workspace = true
            [target.'cfg(unix)'.dependencies]
            three = { workspace = true }
        ";
        assert_eq!(objections_to(manifest), Vec::<String>::new());
    }

    #[test]
    fn own_versions_are_found_in_every_section() {
        let manifest = "
            lints.workspace = true
            [dependencies]
            one = '1'
            [dev-dependencies]
            two = { version = '2' }
            [build-dependencies]
            three = { path = '../three' }
            [target.'cfg(unix)'.dev-dependencies]
            four = '4'
        ";
        let objections = objections_to(manifest);
        assert_eq!(objections.len(), 4);
        for (name, objection) in ["one", "two", "three", "four"].iter().zip(&objections) {
            assert_eq!(
                *objection,
                format!("`{name}` must be `{{ workspace = true }}`")
            );
        }
    }

    #[test]
    fn missing_or_own_lints_are_found() {
        assert_eq!(objections_to("").len(), 1);
        assert_eq!(
            objections_to("[lints.rust]\nunsafe_code = 'allow'").len(),
            1
        );
        assert_eq!(objections_to("[lints]\nworkspace = false").len(), 1);
    }
}
