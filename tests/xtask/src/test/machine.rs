//! What this machine has and who we are on it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The first program of this name on `PATH`.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

pub(super) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Runs a command with its output passed through; anything but success is an error.
pub(super) async fn succeed(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = status(command).await?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

pub(super) async fn status(command: &mut Command) -> Result<ExitStatus> {
    let shown = show(command);
    command
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot run `{shown}`"))
}

/// Runs a command in silence and returns what it printed; shows its complaints if it fails.
pub(super) async fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed: {}: {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn show(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
