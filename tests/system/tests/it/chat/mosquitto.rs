//! The journey with Mosquitto's command-line clients: `mosquitto_pub` sends, `mosquitto_sub`
//! receives, and each ends when it is done.

use std::process::Stdio;

use anyhow::{Context, ensure};
use partyline_system_tests::{Server, password_of};
use partyline_testkit::{PATIENCE, Version};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::batch::Batch;
use super::stage::{server, text_to};

#[tokio::test]
async fn on_mqtt_3_1_1() -> anyhow::Result<()> {
    chat(Version::V311).await
}

#[tokio::test]
async fn on_mqtt_5() -> anyhow::Result<()> {
    chat(Version::V5).await
}

async fn chat(version: Version) -> anyhow::Result<()> {
    let server = server().await?;
    let tools = Tools {
        server: &server,
        version,
    };
    let app = &server.app;

    let waiting = tools.receive("bobby", "phone", 1)?;
    tools.send("alice", "phone", "bobby", "hello").await?;
    let batches = received(waiting).await?;
    let batch = &batches[0];
    assert_eq!((batch.span(), batch.texts()), ((0, 1), vec!["hello"]));
    assert_eq!(
        batch.items[0]["conversation"],
        format!("single:{app}:alice")
    );
    assert_eq!(
        batch.items[0]["from"],
        json!({"username": "alice", "appkey": app})
    );

    // A publisher with bobby's name takes nothing of what waits for bobby.
    tools
        .send("bobby", "phone", "alice", "hello yourself")
        .await?;
    // Alice's other device gets what she sent from the first one, too. It is the only one that
    // receives: what one device has acknowledged, a new one is not sent.
    let batches = received(tools.receive("alice", "tablet", 1)?).await?;
    assert_eq!(batches[0].texts(), ["hello", "hello yourself"]);
    assert_eq!(batches[0].items[0]["client_msg_id"], "hello");

    for text in ["one", "two", "three"] {
        tools.send("alice", "phone", "bobby", text).await?;
    }
    let batches = received(tools.receive("bobby", "phone", 1)?).await?;
    let expected = ["hello yourself", "one", "two", "three"];
    assert_eq!(
        (batches[0].span(), batches[0].texts()),
        ((1, 5), expected.to_vec())
    );
    // Each packet was acknowledged: on the next connection comes only what is new.
    tools.send("alice", "phone", "bobby", "four").await?;
    let batches = received(tools.receive("bobby", "phone", 1)?).await?;
    assert_eq!(
        (batches[0].span(), batches[0].texts()),
        ((5, 6), vec!["four"])
    );
    server.discard().await
}

struct Tools<'a> {
    server: &'a Server,
    version: Version,
}

impl Tools<'_> {
    fn command(&self, program: &str, user: &str, device: &str) -> anyhow::Result<Command> {
        let (host, port) = self
            .server
            .addresses()
            .mqtt
            .rsplit_once(':')
            .context("no port")?;
        let version = match self.version {
            Version::V5 => "mqttv5",
            Version::V311 | Version::V31 => "mqttv311",
        };
        let mut command = Command::new(program);
        command
            .args(["-V", version, "-h", host, "-p", port, "-q", "1"])
            .args(["-i", &format!("{user}-{device}")])
            .args(["-u", &format!("{}/{user}", self.server.app)])
            .args(["-P", &password_of(user)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Sends a text; the reply comes before the acknowledgement.
    async fn send(&self, user: &str, device: &str, to: &str, text: &str) -> anyhow::Result<()> {
        let message = text_to(to, text, text).to_string();
        let mut command = self.command("mosquitto_pub", user, device)?;
        command.args(["-d", "-t", "$im/message/send", "-m", &message]);
        let output = finished(command.spawn().context("mosquitto_pub")?).await?;
        let reply = output.find("'$im/reply'").context("no reply")?;
        let acknowledged = output.find("PUBACK (Mid: 1, RC:0)").context("no PUBACK")?;
        ensure!(reply < acknowledged, "{output}");
        Ok(())
    }

    /// Begins to receive, up to `count` batches.
    fn receive(&self, user: &str, device: &str, count: usize) -> anyhow::Result<Child> {
        let mut command = self.command("mosquitto_sub", user, device)?;
        command
            .args(["-t", "$im/inbox", "-F", "%q %p", "-C", &count.to_string()])
            // It comes unasked, and would be counted.
            .args(["-T", "$session"]);
        command.spawn().context("mosquitto_sub")
    }
}

/// What it printed until it ended.
async fn finished(mut child: Child) -> anyhow::Result<String> {
    let mut output = child.stdout.take().context("no standard output")?;
    let mut printed = String::new();
    let ended = async {
        output.read_to_string(&mut printed).await?;
        child.wait().await
    };
    let status = tokio::time::timeout(PATIENCE, ended).await;
    let status = status.with_context(|| format!("it did not end in time: {printed}"))??;
    ensure!(status.success(), "it ended with {status}: {printed}");
    Ok(printed)
}

async fn received(child: Child) -> anyhow::Result<Vec<Batch>> {
    let output = finished(child).await?;
    let batch = |line: &str| {
        let (qos, payload) = line.split_once(' ').context("no QoS")?;
        ensure!(qos == "1", "a batch at qos {qos}");
        Batch::parse(&serde_json::from_str(payload)?)
    };
    output.lines().map(batch).collect()
}
