//! Where the PostgreSQL server programs are.

use std::cmp::Reverse;
use std::fs;
use std::path::PathBuf;

use tokio::process::Command;

use crate::test::machine;

/// Debian keeps one folder a major version here, outside `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A folder with both `initdb` and `postgres`.
pub(in crate::test) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Debian's newest version, else what `pg_config` says, else what is on `PATH`.
    pub(in crate::test) async fn find() -> Option<Self> {
        let mut folders = debian();
        if let Ok(folder) = machine::output(Command::new("pg_config").arg("--bindir")).await {
            folders.push(PathBuf::from(folder));
        }
        let on_path = machine::find("postgres").and_then(|file| Some(file.parent()?.to_owned()));
        folders.extend(on_path);
        folders
            .into_iter()
            .map(|folder| Self { folder })
            .find(Self::is_complete)
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    fn is_complete(&self) -> bool {
        machine::is_program(&self.initdb()) && machine::is_program(&self.postgres())
    }
}

fn debian() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(DEBIAN) else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}
