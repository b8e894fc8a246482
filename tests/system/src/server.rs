//! The real server, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};
use partyline_testkit::{Backend, ConnectOptions, PATIENCE, RawClient, ScratchDatabase, Version};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::signal::signal;

/// Where the server is built. `cargo xtask test` sets it; otherwise it lies beside the tests.
const BINARY_VARIABLE: &str = "PARTYLINE_TEST_BINARY";

/// The addresses of a running server.
#[derive(Debug, Clone, Default)]
pub struct ServerAddresses {
    /// MQTT over TCP.
    pub mqtt: String,
    /// MQTT over TLS, if on.
    pub mqtts: Option<String>,
    /// MQTT over WebSocket.
    pub ws: String,
    /// HTTP.
    pub http: String,
}

/// A server with its data folder and an app of its own. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    folder: TempDir,
    database: ScratchDatabase,
    addresses: ServerAddresses,
    /// The app that it was made with.
    pub app: String,
    /// Its master secret.
    pub master_secret: String,
}

impl Server {
    /// Starts one with an empty database, an app, and this addition to its configuration (TOML,
    /// top-level tables).
    pub async fn start(backend: Backend, config: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let database = ScratchDatabase::create(backend).await?;
        let config = format!("database.url = \"{}\"\n{config}", database.url());
        std::fs::write(folder.path().join("partyline.toml"), config)?;
        let app = cli(folder.path(), &["app", "create", "system-test"], None).await?;
        let field = |name: &str| {
            let value = app.get(name).and_then(Value::as_str).map(str::to_owned);
            value.with_context(|| format!("no {name} in {app}"))
        };
        let (app, master_secret) = (field("app_key")?, field("master_secret")?);
        let addresses = ServerAddresses::default();
        let mut server = Self {
            child: None,
            folder,
            database,
            addresses,
            app,
            master_secret,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// Starts it on the data that it left.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "it still runs");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut child = Command::new(binary()?)
            .arg("serve")
            .arg("--data")
            .arg(self.folder.path())
            .args([
                "--mqtt",
                "127.0.0.1:0",
                "--ws",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(addresses) = line.strip_prefix("ready ") {
                    return Ok(addresses.to_owned());
                }
            }
            bail!("the server ended before it was ready: {}", self.log())
        };
        let ready = tokio::time::timeout(PATIENCE, ready)
            .await
            .context("not ready in time")??;
        self.addresses = parse_ready(&ready);
        self.child = Some(child);
        Ok(())
    }

    /// The bound addresses.
    pub fn addresses(&self) -> &ServerAddresses {
        &self.addresses
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its database.
    pub fn database(&self) -> &ScratchDatabase {
        &self.database
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("stderr.log")
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// kill -9.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill().await?;
        Ok(())
    }

    /// SIGTERM.
    pub async fn ask_to_stop(&self) -> anyhow::Result<()> {
        signal(self.pid().context("it does not run")?, "TERM").await
    }

    /// Waits for its end, which was asked for; returns its exit code.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut child = self.child.take().context("it does not run")?;
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        Ok(ended.context("it did not stop in time")??.code())
    }

    /// SIGTERM; returns its exit code.
    pub async fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        self.ask_to_stop().await?;
        self.ended().await
    }

    /// Runs a command of the program on the server's data, and returns what it printed as JSON.
    pub async fn cli(&self, arguments: &[&str], stdin: Option<&str>) -> anyhow::Result<Value> {
        cli(self.folder.path(), arguments, stdin).await
    }

    /// Adds a user with the password `{name}-password`.
    pub async fn add_user(&self, name: &str) -> anyhow::Result<()> {
        let password = password_of(name);
        self.cli(&["user", "add", &self.app, name], Some(&password))
            .await?;
        Ok(())
    }

    /// CONNECT of a user, with the client id `{name}-{device}`.
    pub fn user(&self, version: Version, name: &str, device: &str) -> ConnectOptions {
        ConnectOptions::new(version, format!("{name}-{device}"))
            .login(format!("{}/{name}", self.app), password_of(name))
    }

    /// Connects and expects to be let in.
    pub async fn connect(&self, options: &ConnectOptions) -> anyhow::Result<RawClient> {
        let address = self.addresses.mqtt.parse()?;
        let mut client = RawClient::open(address, options.version).await?;
        let connack = client.connect(options).await?;
        ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
        Ok(client)
    }

    /// Stops it and removes its database. Fails if it ever panicked: clients may not have noticed.
    pub async fn discard(mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            let code = self.terminate().await?;
            ensure!(
                code == Some(0),
                "the server ended with {code:?}: {}",
                self.log()
            );
        }
        let log = self.log();
        let panic = log.lines().find(|line| line.contains(" panicked at "));
        ensure!(panic.is_none(), "the server panicked: {log}");
        self.database.discard().await
    }
}

/// The password that [`Server::add_user`] gives.
pub fn password_of(name: &str) -> String {
    format!("{name}-password")
}

fn parse_ready(line: &str) -> ServerAddresses {
    let mut addresses = ServerAddresses::default();
    for (name, address) in line
        .split_whitespace()
        .filter_map(|part| part.split_once('='))
    {
        let address = address.to_owned();
        match name {
            "mqtt" => addresses.mqtt = address,
            "mqtts" => addresses.mqtts = Some(address),
            "ws" => addresses.ws = address,
            "http" => addresses.http = address,
            _ => {}
        }
    }
    addresses
}

async fn cli(folder: &Path, arguments: &[&str], stdin: Option<&str>) -> anyhow::Result<Value> {
    let mut child = Command::new(binary()?)
        .args(arguments)
        .arg("--data")
        .arg(folder)
        .arg("--json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("no standard input")?;
    let ran = async {
        input
            .write_all(stdin.unwrap_or_default().as_bytes())
            .await?;
        drop(input);
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, ran)
        .await
        .with_context(|| format!("partyline {} does not end", arguments.join(" ")))??;
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "partyline {}: {error}",
        arguments.join(" ")
    );
    serde_json::from_str(&out).with_context(|| format!("no JSON: {out}{error}"))
}

/// The server's program: as the variable says, or beside the running test or tool.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("partyline"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.context("the server is not built; run `cargo build -p partyline`")
}
