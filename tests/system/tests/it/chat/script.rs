//! Clients in other languages, as processes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use partyline_testkit::Version;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::client::{Client, Ends};
use super::library::Login;

/// Names a Python interpreter that has paho-mqtt. `cargo xtask test` sets it.
const PYTHON_VARIABLE: &str = "PARTYLINE_TEST_PYTHON";
/// Names the `node_modules` folder beside the scripts. `cargo xtask test` sets it.
const NODE_VARIABLE: &str = "PARTYLINE_TEST_NODE_MODULES";

fn provided(variable: &str) -> anyhow::Result<OsString> {
    std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set; run the tests by `cargo xtask test`"))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// paho-mqtt; over TLS if a CA is given.
pub(super) fn python(
    version: Version,
    login: &Login,
    ca: Option<&PathBuf>,
) -> anyhow::Result<Client> {
    let mut command = Command::new(provided(PYTHON_VARIABLE)?);
    command.arg(script("python/chat_client.py"));
    if let Some(ca) = ca {
        command.arg("--ca").arg(ca);
    }
    run(command, version, login)
}

/// MQTT.js over WebSocket.
pub(super) fn node(version: Version, login: &Login) -> anyhow::Result<Client> {
    let modules = PathBuf::from(provided(NODE_VARIABLE)?);
    ensure!(
        modules.join("mqtt").is_dir(),
        "{NODE_VARIABLE} has no MQTT.js in it; run the tests by `cargo xtask test`"
    );
    let mut command = Command::new("node");
    command.arg(script("node/chat_client.js"));
    run(command, version, login)
}

fn run(mut command: Command, version: Version, login: &Login) -> anyhow::Result<Client> {
    for (name, value) in &login.properties {
        command.arg("--property").arg(format!("{name}={value}"));
    }
    if login.reconnect {
        command.arg("--reconnect");
    }
    let version = if version == Version::V5 { "5" } else { "3.1.1" };
    let child = command
        .args([&login.address, version, &login.client_id])
        .args([&login.username, &login.password])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    Ok(Client::run(|ends| steer(child, ends)))
}

/// Passes commands and events on until the script has ended.
async fn steer(mut child: Child, mut ends: Ends) -> anyhow::Result<()> {
    let mut input = child.stdin.take().context("no standard input")?;
    let output = child.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(output).lines();
    let tell = async {
        while let Some(command) = ends.commands.recv().await {
            let mut line = serde_json::to_string(&command)?;
            line.push('\n');
            input.write_all(line.as_bytes()).await?;
        }
        // The end of its input tells the script to disconnect.
        drop(input);
        std::future::pending::<anyhow::Result<()>>().await
    };
    let listen = async {
        while let Some(line) = lines.next_line().await? {
            let event = serde_json::from_str(&line);
            let event = event.with_context(|| format!("no event: {line}"))?;
            if ends.events.send(event).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        heard = listen => heard?,
        told = tell => told?,
    }
    let status = child.wait().await?;
    ensure!(status.success(), "the script ended with {status}");
    Ok(())
}
