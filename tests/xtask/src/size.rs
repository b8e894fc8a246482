//! `cargo xtask size`: how long the Rust files are.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::repository::Repository;

/// Prints files with more than `over` lines, largest first, then the figures over all files.
pub(crate) fn run(repository: &Repository, over: usize) -> Result<()> {
    let mut sizes = measure(repository)?;
    sizes.sort_by(|left, right| {
        right
            .lines
            .cmp(&left.lines)
            .then(left.file.cmp(&right.file))
    });
    for size in sizes.iter().filter(|size| size.lines > over) {
        println!("{:>6}  {}", size.lines, size.file.display());
    }
    let lines: Vec<usize> = sizes.iter().map(|size| size.lines).collect();
    let summary = Summary::of(&lines);
    println!(
        "{} files, {} lines, median {}, p90 {}",
        summary.files, summary.lines, summary.median, summary.p90
    );
    Ok(())
}

struct Size {
    file: PathBuf,
    lines: usize,
}

fn measure(repository: &Repository) -> Result<Vec<Size>> {
    let files = repository.files()?;
    let rust = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|end| end == "rs"));
    rust.map(|file| {
        let content = std::fs::read_to_string(repository.root().join(&file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Size {
            lines: content.lines().count(),
            file,
        })
    })
    .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Summary {
    files: usize,
    lines: usize,
    median: usize,
    p90: usize,
}

impl Summary {
    fn of(lines: &[usize]) -> Self {
        let mut sorted = lines.to_vec();
        sorted.sort_unstable();
        Self {
            files: sorted.len(),
            lines: sorted.iter().sum(),
            median: percentile(&sorted, 50),
            p90: percentile(&sorted, 90),
        }
    }
}

/// The smallest value that at least `percent` of the values don't exceed (nearest rank).
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_zero_for_everything() {
        assert_eq!(
            Summary::of(&[]),
            Summary {
                files: 0,
                lines: 0,
                median: 0,
                p90: 0
            }
        );
    }

    #[test]
    fn a_single_file_is_its_own_median() {
        assert_eq!(
            Summary::of(&[42]),
            Summary {
                files: 1,
                lines: 42,
                median: 42,
                p90: 42
            }
        );
    }

    #[test]
    fn ranks_do_not_depend_on_the_order() {
        let lines = [100, 10, 90, 20, 80, 30, 70, 40, 60, 50];
        assert_eq!(
            Summary::of(&lines),
            Summary {
                files: 10,
                lines: 550,
                median: 50,
                p90: 90
            }
        );
    }

    #[test]
    fn ranks_round_up() {
        assert_eq!(percentile(&[1, 2, 3], 50), 2);
        assert_eq!(percentile(&[1, 2, 3], 90), 3);
        assert_eq!(percentile(&[1, 2, 3, 4], 50), 2);
    }
}
