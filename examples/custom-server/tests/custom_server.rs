//! The program as an operator runs it.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use partyline_testkit::{ConnectOptions, PATIENCE, RawClient, Version};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const QUOTA_EXCEEDED: u8 = 0x97;
const NOT_AUTHORIZED: u8 = 0x87;

fn program(data: &Path) -> Command {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("partyline.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_partyline-custom-server"));
    command.arg("--json").arg("--data").arg(data);
    command.arg("--config").arg(config).kill_on_drop(true);
    command
}

/// Starts it on free ports; returns its MQTT address.
async fn serve(data: &Path) -> anyhow::Result<(Child, SocketAddr)> {
    let any = "127.0.0.1:0";
    let mut command = program(data);
    command.args(["--mqtt", any, "--ws", any, "--http", any]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await? {
            let line: Value = serde_json::from_str(&line)?;
            if let Some(address) = line["ready"]["mqtt"].as_str() {
                return Ok(address.parse()?);
            }
        }
        anyhow::bail!("it ended before it was ready")
    };
    let address = timeout(PATIENCE, ready).await??;
    Ok((child, address))
}

#[tokio::test]
async fn its_commands_and_its_plugins_work() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut create = program(folder.path());
    let created = create.args(["app", "create", "test"]).output().await?;
    let app: Value = serde_json::from_slice(&created.stdout)?;
    let text = |key: &str| app[key].as_str().map(str::to_owned).context("no text");
    let (key, secret) = (text("app_key")?, text("master_secret")?);

    let (mut server, address) = serve(folder.path()).await?;
    let mut client = RawClient::open(address, Version::V5).await?;
    let login = ConnectOptions::new(Version::V5, "backend");
    let login = login.login(format!("{key}/$service"), secret);
    assert_eq!(client.connect(&login).await?.code, 0);

    let said = client
        .ok("$x/echo/say", &json!({ "words": "hello" }))
        .await?;
    assert_eq!(said, json!({ "words": "hello", "by": null }));
    let reason = client
        .publish_done("sensors/1", vec![0; 65], 1, false)
        .await?;
    assert_eq!(reason, QUOTA_EXCEEDED);
    assert_eq!(client.subscribe(&[("#", 1)]).await?, [NOT_AUTHORIZED]);

    let pid = server.id().context("it has ended")?.to_string();
    let mut shell = Command::new("sh");
    // The shell's builtin, since the program `kill` is not on every machine.
    shell.args(["-c", "kill -s TERM \"$1\"", "sh", &pid]);
    ensure!(shell.status().await?.success());
    let ended = timeout(PATIENCE, server.wait()).await??;
    ensure!(ended.success(), "{ended}");
    let log = folder.path().join("audit-log/audit.jsonl");
    let log = std::fs::read_to_string(log)?;
    ensure!(log.contains("\"event\":\"session_opened\""), "{log}");
    Ok(())
}

#[tokio::test]
async fn its_configuration_is_checked_like_that_of_the_others() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let shown = program(folder.path())
        .args(["config", "show"])
        .output()
        .await?;
    let shown: Value = serde_json::from_slice(&shown.stdout)?;
    assert_eq!(
        shown["plugins"]["payload-limit"]["prefixes"][0]["bytes"],
        64
    );

    let mut mistyped = program(folder.path());
    mistyped.args(["config", "show"]);
    let mistyped = mistyped.env("PARTYLINE__PLUGINS__ECHO__LOUD", "true");
    let mistyped = mistyped.output().await?;
    assert!(!mistyped.status.success());
    let error = String::from_utf8(mistyped.stderr)?;
    assert!(error.contains("plugins.echo.loud"), "{error}");
    Ok(())
}
