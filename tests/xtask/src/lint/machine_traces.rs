//! Files must mean the same on every machine: no paths and no registries of the one they came from.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use crate::lint::violation::Violation;

/// Homes of people and of administrators. Split, here and below, so that this file doesn't accuse
/// itself.
const HOMES: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
];
const REGISTRIES: [&str; 6] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("pypi.", "org/simple"),
    concat!("files.", "pythonhosted.org"),
];

/// Files in which a URL of any host says where to download from.
const DOWNLOAD_SETTINGS: [&str; 4] = [
    ".npmrc",
    "pip.conf",
    "requirements.txt",
    ".cargo/config.toml",
];

pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let folders = folders(root);
    for file in files.iter().filter(|file| !file.ends_with("Cargo.lock")) {
        let bytes =
            fs::read(root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        for (line, content) in (1..).zip(text.lines()) {
            let objections = objections(&folders, file, content).into_iter();
            violations.extend(objections.map(|objection| {
                Violation::new(file, "machine", format!("line {line}: {objection}"))
            }));
        }
    }
    Ok(violations)
}

/// The folders that no file may name: homes, and the one at the top that this checkout lies in.
fn folders(root: &Path) -> Vec<String> {
    let mut folders: Vec<String> = HOMES.iter().map(ToString::to_string).collect();
    let mut parts = root.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    // A folder that every machine has says nothing of this one.
    if let Some(top) = parts.next().filter(|top| !["tmp", "var"].contains(top)) {
        folders.push(format!("/{top}/"));
    }
    folders
}

fn objections(folders: &[String], file: &Path, line: &str) -> Vec<String> {
    let paths = folders.iter().filter(|path| holds_absolute(line, path));
    let mut objections: Vec<String> = paths.map(|path| format!("path under {path}")).collect();
    let hosts = REGISTRIES.iter().filter(|host| line.contains(**host));
    objections.extend(hosts.map(|host| format!("registry {host}")));
    if objections.is_empty() && names_a_download(file, line) {
        objections.push("address of a registry".to_owned());
    }
    objections
}

/// Whether `path` starts in `line` and doesn't just continue a relative path or an address.
fn holds_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line.get(..start).unwrap_or_default();
        let continues = |c: char| c.is_alphanumeric() || "._-~*/})$".contains(c);
        before.ends_with("file://") || !before.ends_with(continues)
    })
}

fn names_a_download(file: &Path, line: &str) -> bool {
    let address = ["https://", "http://"]
        .iter()
        .any(|scheme| line.contains(scheme));
    let settings = DOWNLOAD_SETTINGS.iter().any(|name| file.ends_with(name));
    let resolved = file.ends_with("package-lock.json") && line.contains("\"resolved\"");
    address && (settings || resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, line: &str) -> bool {
        !objections(&folders(Path::new("/build/here")), Path::new(file), line).is_empty()
    }

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        for folder in HOMES.into_iter().chain(["/build/"]) {
            assert!(found("a.md", &format!("see {folder}main")));
            assert!(found("a.rs", &format!("\"{folder}.cargo\"")));
            assert!(found("a.md", &format!("[x](file://{folder}main)")));
            assert!(found("a.sh", &format!("{folder}main")));
        }
    }

    #[test]
    fn relative_paths_and_addresses_are_not() {
        for folder in HOMES.into_iter().chain(["/build/", "/elsewhere/"]) {
            assert!(!found("a.md", &format!("docs{folder}day.md")));
            assert!(!found("a.md", &format!("https://example.org{folder}x")));
            assert!(!found("a.md", &format!("..{folder}x")));
        }
        assert!(!found("a.md", "/elsewhere/x"));
    }

    #[test]
    fn registries_are_found_anywhere() {
        for registry in REGISTRIES {
            assert!(found("docs/a.md", &format!("https://{registry}/x")));
        }
        assert!(!found("docs/a.md", "https://crates.io/crates/serde"));
    }

    #[test]
    fn unknown_registries_are_found_where_downloads_are_configured() {
        let resolved = "\"resolved\": \"https://mirror.example/mqtt.tgz\"";
        assert!(found("x/package-lock.json", resolved));
        assert!(found("x/.npmrc", "registry=https://mirror.example/"));
        assert!(found(
            "x/requirements.txt",
            "--index-url https://mirror.example/"
        ));
        assert!(found(
            ".cargo/config.toml",
            "registry = \"https://mirror.example/\""
        ));
        assert!(!found(
            "broker/config.toml",
            "url = \"https://push.example/\""
        ));
        assert!(!found(
            "x/package-lock.json",
            "\"url\": \"https://github.com/sponsors/a\""
        ));
    }
}
