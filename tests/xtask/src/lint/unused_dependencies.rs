//! A dependency that no source file names only costs build time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, Package};

use crate::lint::violation::Violation;

/// Where a package's own code lies, beside `src`.
const TEST_FOLDERS: [&str; 3] = ["tests", "benches", "examples"];

pub(super) fn check(metadata: &Metadata, root: &Path, files: &[PathBuf]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = package.manifest_path.as_std_path();
        let manifest = manifest.strip_prefix(root).unwrap_or(manifest);
        let folder = manifest.parent().unwrap_or(manifest);
        let source = read_all(root, files, &[folder.join("src"), folder.join("build.rs")])?;
        let tests = TEST_FOLDERS.map(|name| folder.join(name));
        let tests = read_all(root, files, &tests)?;
        for (name, needs) in unused(package, &source, &tests) {
            let detail = format!("`{name}` is not used in {needs}");
            violations.push(Violation::new(manifest, "unused", detail));
        }
    }
    violations.extend(unused_of_the_workspace(metadata, root)?);
    Ok(violations)
}

fn unused(package: &Package, source: &str, tests: &str) -> Vec<(String, &'static str)> {
    let mut unused = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
        let identifier = name.replace('-', "_");
        let in_source = names(source, &identifier);
        let (used, needs) = match dependency.kind {
            DependencyKind::Development => {
                (in_source || names(tests, &identifier), "its code or tests")
            }
            _ => (in_source, "its code"),
        };
        // One that is also a normal dependency is there for its features.
        let for_features = dependency.kind == DependencyKind::Development
            && package
                .dependencies
                .iter()
                .any(|other| other.kind == DependencyKind::Normal && other.name == dependency.name);
        if !used && !for_features {
            unused.push((name.clone(), needs));
        }
    }
    unused
}

/// What the root manifest offers and no member takes.
fn unused_of_the_workspace(metadata: &Metadata, root: &Path) -> Result<Vec<Violation>> {
    let path = root.join("Cargo.toml");
    let content =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: toml::Table = content.parse().context("cannot parse Cargo.toml")?;
    let offered = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies")?.as_table())
        .into_iter()
        .flat_map(toml::Table::keys);
    let taken = |name: &str| {
        let packages = metadata.workspace_packages().into_iter();
        let mut dependencies = packages.flat_map(|package| &package.dependencies);
        dependencies.any(|one| one.rename.as_ref().unwrap_or(&one.name) == name)
    };
    let unused = offered.filter(|name| !taken(name));
    Ok(unused
        .map(|name| Violation::new("Cargo.toml", "unused", format!("no member takes `{name}`")))
        .collect())
}

/// Whether `identifier` stands in `text` as a word of its own.
fn names(text: &str, identifier: &str) -> bool {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(identifier).any(|(start, found)| {
        let before = text.get(..start).unwrap_or_default();
        let after = text.get(start + found.len()..).unwrap_or_default();
        !before.ends_with(part_of_a_word) && !after.starts_with(part_of_a_word)
    })
}

fn read_all(root: &Path, files: &[PathBuf], folders: &[PathBuf]) -> Result<String> {
    let mut all = String::new();
    let wanted = files.iter().filter(|file| {
        file.extension().is_some_and(|extension| extension == "rs")
            && folders.iter().any(|folder| file.starts_with(folder))
    });
    for file in wanted {
        let text = fs::read_to_string(root.join(file));
        all.push_str(&text.with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_named_by_a_whole_word() {
        assert!(names("use serde::Serialize;", "serde"));
        assert!(names("#[serde(default)]", "serde"));
        assert!(!names("use serde_json::Value;", "serde"));
        assert!(!names("my_serde::x", "serde"));
    }
}
