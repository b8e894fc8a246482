//! The programs that tests call, and the Debian packages they come in.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::test::machine;
use crate::test::postgres;

struct Need {
    package: &'static str,
    programs: &'static [&'static str],
}

const NEEDS: [Need; 6] = [
    Need {
        package: "mosquitto-clients",
        programs: &["mosquitto_pub", "mosquitto_sub"],
    },
    Need {
        package: "nodejs",
        programs: &["node"],
    },
    Need {
        package: "npm",
        programs: &["npm"],
    },
    Need {
        package: "python3",
        programs: &["python3"],
    },
    Need {
        package: "strace",
        programs: &["strace"],
    },
    Need {
        package: "util-linux",
        programs: &["setpriv"],
    },
];

/// Makes sure that every program is there; installs packages where we may.
pub(super) async fn provide() -> Result<()> {
    let missing = missing_packages().await;
    if missing.is_empty() {
        return check_what_is_there().await;
    }
    if !machine::is_root() || machine::find("apt-get").is_none() {
        bail!(
            "the tests need more programs; on Debian: sudo apt-get install --yes {}",
            missing.join(" ")
        );
    }
    install(&missing).await?;
    let missing = missing_packages().await;
    if !missing.is_empty() {
        bail!(
            "installed, but their programs are still not found: {}",
            missing.join(" ")
        );
    }
    check_what_is_there().await
}

/// What a program must be able to do beyond being there.
async fn check_what_is_there() -> Result<()> {
    let mut node = Command::new("node");
    let version = machine::output(node.arg("--version")).await?;
    if !is_new_enough(&version) {
        bail!("node is {version}, and the tests need v18.11 or newer");
    }
    check_tracing().await
}

/// The tests attach strace to a process that runs, which is not strace's own child.
async fn check_tracing() -> Result<()> {
    let mut traced = Command::new("sleep");
    let traced = traced.arg("60").kill_on_drop(true).spawn()?;
    let pid = traced.id().context("sleep has ended")?.to_string();
    let mut strace = Command::new("strace")
        .args(["-o", "/dev/null", "-p", &pid])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stderr = strace.stderr.take().context("no standard error")?;
    let said = BufReader::new(stderr).lines().next_line().await?;
    let said = said.unwrap_or_default();
    if !said.contains(" attached") {
        bail!(
            "strace may not trace other processes ({said}); run the tests as root, or allow it: \
             sudo sysctl kernel.yama.ptrace_scope=0 (in a container: --cap-add=SYS_PTRACE)"
        );
    }
    Ok(())
}

/// `util.parseArgs` with default values came with Node 18.11.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    (major, minor) >= (18_u32, 11_u32)
}

async fn missing_packages() -> Vec<&'static str> {
    let absent = |need: &&Need| {
        need.programs
            .iter()
            .any(|name| machine::find(name).is_none())
    };
    let mut packages: Vec<&str> = NEEDS
        .iter()
        .filter(absent)
        .map(|need| need.package)
        .collect();
    if postgres::Binaries::find().await.is_none() {
        packages.push("postgresql");
    }
    // Debian splits the standard library: `python3 -m venv` is there, but fails without this.
    let mut python = Command::new("python3");
    python.args(["-c", "import ensurepip, venv"]);
    if machine::output(&mut python).await.is_err() {
        packages.push("python3-venv");
    }
    packages
}

async fn install(packages: &[&str]) -> Result<()> {
    println!("test: apt-get install {}", packages.join(" "));
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    machine::succeed(apt_get().args(["update", "--quiet=2"])).await?;
    let mut install = apt_get();
    install
        .args(["install", "--yes", "--quiet=2", "--no-install-recommends"])
        .args(packages);
    machine::output(&mut install).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn node_must_know_default_arguments() {
        for version in ["v18.11.0", "v18.19.1", "v20.0.0", "v22.3.1"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["v18.10.0", "v16.20.2", "v8.99.0", "", "v18"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
