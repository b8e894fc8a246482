//! Where a throw-away cluster lives.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::repository::Repository;
use crate::test::machine;
use crate::test::postgres::account::Account;

const PREFIX: &str = "postgres-";

/// How old a folder without a server must be before it counts as abandoned.
const ABANDONED: Duration = Duration::from_hours(1);

/// A new folder that belongs to the account: under `target/`, or, if the account can't get there
/// (a home folder closed to others), under the system's temporary folder.
pub(super) async fn create(repository: &Repository, account: &Account) -> Result<TempDir> {
    let preferred = repository.target().join("xtask");
    fs::create_dir_all(&preferred)
        .with_context(|| format!("cannot create {}", preferred.display()))?;
    for parent in [preferred, std::env::temp_dir()] {
        remove_abandoned(&parent);
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&parent)
            .with_context(|| format!("cannot create a folder in {}", parent.display()))?;
        account.give(folder.path())?;
        let mut enter = account.command(Path::new("test"));
        enter.arg("-w").arg(folder.path());
        if machine::output(&mut enter).await.is_ok() {
            return Ok(folder);
        }
    }
    bail!("no temporary folder is open to the account of PostgreSQL");
}

/// Removes what a killed run left behind. Its server has died with it.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let age = entry.metadata().and_then(|folder| folder.modified()).ok();
        let old = age
            .and_then(|time| time.elapsed().ok())
            .is_some_and(|age| age > ABANDONED);
        if ours && old && !has_server(&entry.path()) {
            // Someone else's is not ours to remove, and their next run will.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn has_server(folder: &Path) -> bool {
    let lock = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    lock.lines()
        .next()
        .is_some_and(|id| Path::new("/proc").join(id).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_recognised_by_the_process_in_its_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_server(folder.path()));
        fs::create_dir(folder.path().join("data")).unwrap();
        let lock = folder.path().join("data/postmaster.pid");
        fs::write(&lock, format!("{}\n/data\n", std::process::id())).unwrap();
        assert!(has_server(folder.path()));
        fs::write(&lock, "4294967295\n/data\n").unwrap();
        assert!(!has_server(folder.path()));
    }

    #[test]
    fn a_young_folder_is_not_abandoned() {
        let parent = tempfile::tempdir().unwrap();
        let young = parent.path().join("postgres-young");
        fs::create_dir(&young).unwrap();
        remove_abandoned(parent.path());
        assert!(young.exists());
    }
}
