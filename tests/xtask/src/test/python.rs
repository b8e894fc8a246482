//! A Python with the MQTT client that Python programs use.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::repository::Repository;
use crate::test::machine;

const REQUIREMENTS: &str = "tests/system/clients/python/requirements.txt";

/// The interpreter of a virtual environment that holds exactly the pinned requirements.
pub(super) async fn provide(repository: &Repository) -> Result<PathBuf> {
    let requirements = repository.root().join(REQUIREMENTS);
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let folder = repository.target().join("xtask/python");
    let python = folder.join("bin/python");
    let installed = folder.join("installed-requirements.txt");

    let fresh = fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted);
    if fresh
        && machine::output(Command::new(&python).arg("--version"))
            .await
            .is_ok()
    {
        return Ok(python);
    }
    machine::output(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )
    .await?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&requirements);
    machine::output(&mut install).await?;
    fs::write(&installed, wanted)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}
