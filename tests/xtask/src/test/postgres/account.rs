//! The account that the server runs as, since PostgreSQL refuses root.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use tokio::process::Command;

use crate::test::machine;

const NAME: &str = "postgres";

/// Ourselves, or the account `postgres` when we are root.
pub(super) struct Account {
    other: Option<Identity>,
}

struct Identity {
    user: u32,
    group: u32,
}

impl Account {
    pub(super) async fn choose() -> Result<Self> {
        if !machine::is_root() {
            return Ok(Self { other: None });
        }
        if lookup().is_none() {
            println!("test: creating the system account {NAME}");
            let mut create = Command::new("useradd");
            create.args(["--system", "--user-group", "--no-create-home", NAME]);
            machine::output(&mut create).await?;
        }
        let identity = lookup().ok_or_else(|| anyhow!("there is no account {NAME}"))?;
        Ok(Self {
            other: Some(identity),
        })
    }

    /// A command that runs as this account and dies with us, even if we are killed.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(identity) = &self.other {
            command
                .arg(format!("--reuid={}", identity.user))
                .arg(format!("--regid={}", identity.group))
                .arg("--clear-groups");
        }
        command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
        command
    }

    /// Makes this account the owner of a file or folder.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        let Some(identity) = &self.other else {
            return Ok(());
        };
        std::os::unix::fs::chown(path, Some(identity.user), Some(identity.group))
            .with_context(|| format!("cannot give {} to {NAME}", path.display()))
    }
}

fn lookup() -> Option<Identity> {
    identity(&fs::read_to_string("/etc/passwd").ok()?, NAME)
}

/// The numbers of an account in a `passwd` file.
fn identity(accounts: &str, name: &str) -> Option<Identity> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Identity { user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_numbers_of_an_account() {
        let accounts = "root:x:0:0::/:/bin/sh\nbroken\npostgres:x:101:104:PostgreSQL,,,:/:/bin/sh";
        let found = identity(accounts, "postgres").unwrap();
        assert_eq!((found.user, found.group), (101, 104));
        assert!(identity(accounts, "postgre").is_none());
        assert!(identity(accounts, "broken").is_none());
    }
}
