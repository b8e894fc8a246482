//! The data folder: made for its owner alone, and used by one server at a time.

mod lock;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use partyline_plugin::database::Database;
use partyline_plugin::sqlx::sqlite::SqliteConnectOptions;

use lock::Lock;

/// The database where none is configured.
const DATABASE_FILE: &str = "partyline.sqlite";
const LOCK_FILE: &str = "partyline.lock";

/// A folder that exists.
#[derive(Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Makes the folder, readable by its owner alone, unless it exists.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .and_then(|()| path.canonicalize())
            .map(Self)
            .with_context(|| format!("cannot make the data folder {}", path.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps other servers off this folder, and off a SQLite file elsewhere, until dropped.
    pub(crate) fn lock(&self, configured_url: &str) -> anyhow::Result<Vec<Lock>> {
        let mut locks = vec![Lock::take(&self.0.join(LOCK_FILE), &self.0)?];
        if let Some(file) = sqlite_file(configured_url)? {
            let mut name = file.clone().into_os_string();
            name.push(".lock");
            locks.push(Lock::take(Path::new(&name), &file)?);
        }
        Ok(locks)
    }

    /// Opens the configured database, or the folder's own; a new SQLite file is readable by its
    /// owner alone.
    pub(crate) async fn open_database(&self, configured_url: &str) -> anyhow::Result<Database> {
        let url = match configured_url {
            "" => sqlite_url(&self.0.join(DATABASE_FILE))?,
            configured => configured.to_owned(),
        };
        if let Some(file) = sqlite_file(&url)? {
            make_private(&file)
                .with_context(|| format!("cannot make the database file {}", file.display()))?;
        }
        // The URL stays out of the error: it may hold a password.
        Database::open(&url)
            .await
            .context("cannot open the database of [database] url")
    }
}

/// The URL of a SQLite file, whatever stands in its name.
fn sqlite_url(file: &Path) -> anyhow::Result<String> {
    let path = file
        .to_str()
        .context("the path of the data folder is not UTF-8")?;
    Ok(format!(
        "sqlite:{}",
        path.replace('%', "%25").replace('?', "%3F")
    ))
}

/// The file of a SQLite URL; nothing for other databases and for one in memory.
fn sqlite_file(url: &str) -> anyhow::Result<Option<PathBuf>> {
    if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
        return Ok(None);
    }
    let options = SqliteConnectOptions::from_str(url).context("[database] url is not usable")?;
    Ok(Some(options.get_filename().to_owned()))
}

/// SQLite gives the files beside it the same mode.
fn make_private(file: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
    {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn folder_and_database_are_for_their_owner() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["data", "100% ? a#b", "deep/er"] {
            let data = DataDir::create(&folder.path().join(name)).unwrap();
            let database = data.open_database("").await.unwrap();
            database.close().await;
            assert_eq!(mode(data.path()), 0o700, "{name}");
            assert_eq!(mode(&data.path().join(DATABASE_FILE)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_folder_and_a_file_have_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let one = DataDir::create(&folder.path().join("one")).unwrap();
        let two = DataDir::create(&folder.path().join("two")).unwrap();
        let url = sqlite_url(&folder.path().join("shared.sqlite")).unwrap();

        let locks = one.lock(&url).unwrap();
        let error = one.lock("").unwrap_err();
        assert!(
            error.to_string().contains("another partyline server"),
            "{error}"
        );
        assert!(
            two.lock(&url)
                .unwrap_err()
                .to_string()
                .contains("shared.sqlite")
        );
        drop(locks);
        assert_eq!(two.lock(&url).unwrap().len(), 2);
        assert_eq!(one.lock("postgres://u:p@h/d").unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_bad_url_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::create(folder.path()).unwrap();
        for (url, why) in [
            ("mysql://u:hush@h/d", "must begin with"),
            ("postgres://u:hush@h:port/d", "port"),
            // Nothing listens on port 1.
            ("postgres://u:hush@127.0.0.1:1/d", "refused"),
        ] {
            let error = data.open_database(url).await.unwrap_err();
            let error = format!("{error:#}").to_lowercase();
            assert!(error.contains(why), "{error}");
            assert!(error.contains("[database] url"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
