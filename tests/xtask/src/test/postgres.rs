//! One throw-away PostgreSQL cluster for a whole test run.

mod account;
mod binaries;
mod folder;

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use crate::repository::Repository;
use crate::test::machine;
use crate::test::postgres::account::Account;
pub(super) use crate::test::postgres::binaries::Binaries;
use crate::test::supervised::{Stop, Supervised};

const START_LIMIT: Duration = Duration::from_mins(1);

/// Another process may take the port between our probe and the server's start.
const START_ATTEMPTS: u32 = 3;

/// Every test binary opens pools of its own.
const MAX_CONNECTIONS: u32 = 400;

/// Longest path of a unix socket that Linux takes.
const SOCKET_PATH_LIMIT: usize = 107;

/// A running server. Dropping it stops the server, then removes all it stored.
pub(super) struct Cluster {
    url: String,
    _server: Supervised,
    _folder: TempDir,
}

impl Cluster {
    pub(super) async fn start(repository: &Repository) -> Result<Self> {
        let binaries = Binaries::find()
            .await
            .ok_or_else(|| anyhow!("no PostgreSQL server"))?;
        let account = Account::choose().await?;
        let folder = folder::create(repository, &account).await?;
        let password = random_password()?;
        initialise(&binaries, &account, folder.path(), &password).await?;

        let log = repository.target().join("xtask/postgres.log");
        for attempt in 1..=START_ATTEMPTS {
            let port = free_port()?;
            match serve(&binaries, &account, folder.path(), port, &log).await {
                Ok(server) => {
                    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
                    return Ok(Self {
                        url,
                        _server: server,
                        _folder: folder,
                    });
                }
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(error) => eprintln!("test: {error:#}; trying another port"),
            }
        }
        bail!("PostgreSQL did not start");
    }

    /// The superuser's connection URL.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

async fn initialise(
    binaries: &Binaries,
    account: &Account,
    folder: &Path,
    password: &str,
) -> Result<()> {
    let password_file = folder.join("password");
    fs::write(&password_file, password).context("cannot write the password file")?;
    account.give(&password_file)?;
    let mut initdb = account.command(&binaries.initdb());
    initdb
        .arg("--pgdata")
        .arg(folder.join("data"))
        .arg("--pwfile")
        .arg(&password_file)
        .args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
        ])
        // Only these first files go unsynced: the server itself runs with fsync on.
        .arg("--no-sync")
        .current_dir(folder);
    machine::output(&mut initdb).await?;
    Ok(())
}

async fn serve(
    binaries: &Binaries,
    account: &Account,
    folder: &Path,
    port: u16,
    log: &Path,
) -> Result<Supervised> {
    let data = folder.join("data");
    let log_file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let socket = folder.join(format!(".s.PGSQL.{port}"));
    let sockets = if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
        Path::new("")
    } else {
        folder
    };
    let mut postgres = account.command(&binaries.postgres());
    postgres
        .arg("-D")
        .arg(&data)
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            &format!("port={port}"),
        ])
        .args([
            "-c",
            &format!("unix_socket_directories={}", sockets.display()),
        ])
        .args(["-c", &format!("max_connections={MAX_CONNECTIONS}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log_file.try_clone().context("cannot share the log")?)
        .stderr(log_file);
    // SIGQUIT stops at once: nobody will read this data again.
    let stop = Stop {
        signal: "QUIT",
        whole_group: false,
        patience: Duration::from_secs(10),
    };
    let mut server = Supervised::spawn(&mut postgres, stop)?;

    let deadline = Instant::now() + START_LIMIT;
    while !is_ready(&data) {
        if let Some(status) = server
            .child()
            .try_wait()
            .context("cannot watch PostgreSQL")?
        {
            let said = fs::read_to_string(log).unwrap_or_default();
            bail!("PostgreSQL ended with {status}: {}", said.trim());
        }
        if Instant::now() > deadline {
            bail!(
                "PostgreSQL is not ready after {START_LIMIT:?}, see {}",
                log.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(server)
}

/// The server writes its state into the last line of its lock file.
fn is_ready(data: &Path) -> bool {
    let lock = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    lock.lines()
        .nth(7)
        .is_some_and(|state| state.trim() == "ready")
}

fn free_port() -> Result<u16> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(probe.local_addr().context("no free port")?.port())
}

/// 128 random bits in hexadecimal, which needs no escaping in a URL.
fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    let source = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.context("cannot read random bytes")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
