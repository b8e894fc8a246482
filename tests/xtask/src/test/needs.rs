//! The programs that tests call, and the Debian packages they come in.

use anyhow::{Result, bail};
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
        return Ok(());
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
    Ok(())
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
