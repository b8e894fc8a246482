//! Relative links in the documentation lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::lint::violation::Violation;

pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| is_documentation(file)) {
        let text = fs::read_to_string(root.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        for (line, link) in links(&text) {
            if target(root, file, &link).is_some_and(|target| !target.exists()) {
                let detail = format!("line {line}: `{link}` does not exist");
                violations.push(Violation::new(file, "link", detail));
            }
        }
    }
    Ok(violations)
}

fn is_documentation(file: &Path) -> bool {
    let markdown = file.extension().is_some_and(|end| end == "md");
    markdown && (file.starts_with("docs") || file.ends_with("README.md"))
}

/// The path a link means, or nothing if it leaves the repository or stays on the page.
fn target(root: &Path, file: &Path, link: &str) -> Option<PathBuf> {
    let path = link
        .split(['#', '?'])
        .next()
        .unwrap_or_default()
        .replace("%20", " ");
    let has_scheme = path
        .split_once(':')
        .is_some_and(|(scheme, _)| !scheme.contains('/'));
    if path.is_empty() || path.starts_with("//") || has_scheme {
        return None;
    }
    // As GitHub reads it, a leading slash means the root of the repository.
    if let Some(from_root) = path.strip_prefix('/') {
        return Some(root.join(from_root));
    }
    Some(root.join(file).parent()?.join(path))
}

/// Line number and destination of every link and image outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence = None;
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start();
        let marker = ["```", "~~~"]
            .into_iter()
            .find(|marker| trimmed.starts_with(marker));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (None, None) => {
                let prose = without_code(line);
                let destinations = inline(&prose).into_iter().chain(definition(&prose));
                found.extend(destinations.map(|destination| (number, destination)));
            }
            _ => {}
        }
    }
    found
}

/// The line without its `code spans`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("code")
}

/// `[text](destination "title")`
fn inline(line: &str) -> Vec<String> {
    let destinations = line.split("](").skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let destination = match rest.strip_prefix('<') {
            Some(bracketed) => bracketed.split_once('>')?.0,
            None => rest.split([')', ' ']).next()?,
        };
        Some(destination.to_owned())
    });
    destinations.collect()
}

/// `[label]: destination`
fn definition(line: &str) -> Option<String> {
    let (label, destination) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    let footnote = label.starts_with('^') || label.contains(']');
    let destination = destination.split_whitespace().next()?;
    (!footnote).then(|| destination.trim_matches(['<', '>']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations(text: &str) -> Vec<String> {
        links(text)
            .into_iter()
            .map(|(_, destination)| destination)
            .collect()
    }

    #[test]
    fn inline_links_images_and_definitions_are_found() {
        let text = "see [a](a.md) and ![b](b.png \"title\"), [c](<c d.md>)\n\n[e]: e.md\n";
        assert_eq!(destinations(text), ["a.md", "b.png", "c d.md", "e.md"]);
    }

    #[test]
    fn code_holds_no_links() {
        let text = "`[a](a.md)` [b](b.md)\n```rust\n[c](c.md)\n~~~\n[d](d.md)\n```\n[e](e.md)";
        assert_eq!(
            links(text),
            [(1, "b.md".to_owned()), (7, "e.md".to_owned())]
        );
    }

    #[test]
    fn a_link_whose_text_is_code_is_found() {
        assert_eq!(destinations("[`Plugin`](sdk.md)"), ["sdk.md"]);
    }

    #[test]
    fn a_path_is_relative_to_its_file_or_to_the_root() {
        let (root, file) = (Path::new("top"), Path::new("docs/a.md"));
        assert_eq!(
            target(root, file, "b.md#part"),
            Some("top/docs/b.md".into())
        );
        assert_eq!(
            target(root, file, "../README.md"),
            Some("top/docs/../README.md".into())
        );
        assert_eq!(target(root, file, "/LICENSE"), Some("top/LICENSE".into()));
    }

    #[test]
    fn what_is_not_in_the_repository_is_not_checked() {
        let (root, file) = (Path::new("top"), Path::new("docs/a.md"));
        for link in [
            "https://example.org/a",
            "mailto:a@example.org",
            "#part",
            "//example.org",
        ] {
            assert_eq!(target(root, file, link), None, "{link}");
        }
    }

    #[test]
    fn only_broken_links_are_reported() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(
            root.path().join("README.md"),
            "[a](docs/a.md) [b](docs/b.md)",
        )
        .unwrap();
        fs::write(
            root.path().join("docs/a.md"),
            "[up](../README.md)\n[gone](c.md)",
        )
        .unwrap();
        let files = [PathBuf::from("README.md"), PathBuf::from("docs/a.md")];
        let shown: Vec<String> = check(root.path(), &files)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "README.md: [link] line 1: `docs/b.md` does not exist",
                "docs/a.md: [link] line 2: `c.md` does not exist",
            ]
        );
    }
}
