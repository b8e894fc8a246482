//! Brokers that are started for one load.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::target::Target;

/// How long a broker may take to start.
const STARTING: Duration = Duration::from_secs(20);

/// What is not a matter of speed is the same for all: nothing is dropped, and nothing is logged for
/// each connection.
const PARTYLINE: &str = r#"
[limits]
queued_messages = 100000
queued_bytes = 67108864
[log]
filter = "warn"
"#;

/// mosquitto 2.0.11 counts what has left its queue against `max_queued_messages`, and drops: it has
/// no limit.
const MOSQUITTO: &str = "
allow_anonymous true
persistence false
max_inflight_messages 100
max_queued_messages 0
set_tcp_nodelay true
log_type error
";

#[derive(Debug)]
pub(super) enum Kind {
    Partyline(PathBuf),
    Mosquitto(PathBuf),
    Rumqttd,
}

/// A running broker; it ends with this.
pub(super) struct Running {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Kind {
    /// A broker and its name, from `[NAME:]KIND[=PROGRAM]`.
    pub(super) fn parse(text: &str) -> anyhow::Result<(String, Self)> {
        let (kind, program) = match text.split_once('=') {
            Some((kind, program)) => (kind, Some(program)),
            None => (text, None),
        };
        let (name, kind) = kind.split_once(':').unwrap_or((kind, kind));
        let program = |default: &str| PathBuf::from(program.unwrap_or(default));
        let kind = match kind {
            "partyline" => Self::Partyline(program("target/release/partyline")),
            "mosquitto" => Self::Mosquitto(program("/usr/sbin/mosquitto")),
            "rumqttd" => Self::Rumqttd,
            other => bail!("no broker of the kind {other}"),
        };
        Ok((name.to_owned(), kind))
    }

    pub(super) fn start(&self) -> anyhow::Result<Running> {
        let folder = tempfile::tempdir()?;
        match self {
            Self::Partyline(program) => partyline(program, folder),
            Self::Mosquitto(program) => {
                let address = free_address()?;
                let port = address.port();
                let config = folder.path().join("mosquitto.conf");
                std::fs::write(&config, format!("listener {port} 127.0.0.1\n{MOSQUITTO}"))?;
                let mut command = Command::new(program);
                command.arg("-c").arg(config);
                waited_for(command, address, folder)
            }
            Self::Rumqttd => {
                ensure!(
                    cfg!(feature = "peer-rumqttd"),
                    "built without the feature peer-rumqttd"
                );
                let address = free_address()?;
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["peer-rumqttd", "--listen", &address.to_string()]);
                waited_for(command, address, folder)
            }
        }
    }
}

/// An address that was free a moment ago, for brokers that cannot choose one themselves.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

fn spawn(mut command: Command, folder: &Path) -> anyhow::Result<Child> {
    let log = File::create(folder.join("log"))?;
    command.stdin(Stdio::null()).stderr(log);
    command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))
}

/// Starts a broker that does not say when it listens.
fn waited_for(
    mut command: Command,
    address: SocketAddr,
    folder: TempDir,
) -> anyhow::Result<Running> {
    command.stdout(Stdio::null());
    let mut running = Running {
        child: spawn(command, folder.path())?,
        address,
        _folder: folder,
    };
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(began.elapsed() < STARTING, "the broker does not listen");
        ensure!(running.child.try_wait()?.is_none(), "the broker has ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(running)
}

/// With an empty database, and an app that is open to anonymous clients.
fn partyline(program: &Path, folder: TempDir) -> anyhow::Result<Running> {
    std::fs::write(folder.path().join("partyline.toml"), PARTYLINE)?;
    let created = Command::new(program)
        .args(["app", "create", "bench", "--json", "--data"])
        .arg(folder.path())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&created.stderr);
    ensure!(created.status.success(), "no app could be created: {said}");
    let app: Value = serde_json::from_slice(&created.stdout)?;
    let app = app
        .get("app_key")
        .and_then(Value::as_str)
        .context("no app key")?;
    let mut command = Command::new(program);
    command.args(["serve", "--data"]).arg(folder.path());
    for listener in ["--mqtt", "--ws", "--http"] {
        command.args([listener, "127.0.0.1:0"]);
    }
    command.env("PARTYLINE__MQTT__ANONYMOUS_APP", app);
    command.stdout(Stdio::piped());
    let mut child = spawn(command, folder.path())?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut running = Running {
        child,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        _folder: folder,
    };
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        let mut words = line.strip_prefix("ready ").unwrap_or_default().split(' ');
        if let Some(address) = words.find_map(|word| word.strip_prefix("mqtt=")) {
            running.address = address.parse()?;
            return Ok(running);
        }
    }
    bail!("it ended before it was ready")
}

impl Running {
    pub(super) fn target(&self) -> Target {
        Target {
            address: self.address,
            pid: Some(self.child.id()),
            login: None,
            devices: 1,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is killed: nothing that it holds is needed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
