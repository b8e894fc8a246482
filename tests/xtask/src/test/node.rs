//! The MQTT client that JavaScript programs use.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::repository::Repository;
use crate::test::machine;

const FOLDER: &str = "tests/system/clients/node";

/// The `node_modules` folder with exactly what the lock file says.
///
/// It lies beside the scripts, because that is where `import` looks.
pub(super) async fn provide(repository: &Repository) -> Result<PathBuf> {
    let folder = repository.root().join(FOLDER);
    let modules = folder.join("node_modules");
    let installed = modules.join(".installed-lock.json");
    let wanted = fs::read_to_string(folder.join("package-lock.json"))
        .with_context(|| format!("cannot read {FOLDER}/package-lock.json"))?;

    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(modules);
    }
    let mut install = Command::new("npm");
    install
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&folder);
    machine::output(&mut install).await?;
    fs::write(&installed, wanted)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(modules)
}
