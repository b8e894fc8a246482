//! Where the repository is and which files belong to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::cargo;

/// The working copy that the checks look at.
pub(crate) struct Repository {
    root: PathBuf,
    target: PathBuf,
}

impl Repository {
    /// Finds the workspace around the current directory. Needs no lock file and no network.
    pub(crate) fn locate() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .cargo_path(cargo::program())
            .no_deps()
            .exec()
            .context("cannot read the workspace")?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory, which is ours to fill and anyone's to delete.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The resolved dependency graph, exactly as locked.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        MetadataCommand::new()
            .cargo_path(cargo::program())
            .manifest_path(self.root.join("Cargo.toml"))
            .other_options(["--locked".to_owned()])
            .exec()
            .context("cannot resolve the dependency graph with --locked")
    }

    /// All files that are tracked or would be by `git add --all`, relative to the root.
    ///
    /// New files count from the start: a check that waits for `git add` finds out too late.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&self.root)
            .output()
            .context("cannot run git")?;
        if !output.status.success() {
            bail!(
                "git ls-files failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let mut files: Vec<PathBuf> = listing
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .filter(|file| self.root.join(file).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}
