//! A killed process proves nothing about a power cut: the system calls do.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use partyline_system_tests::Server;
use partyline_testkit::{Backend, PATIENCE, Version};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// `strace` on a process and on all that it starts.
struct Trace {
    strace: Child,
    pid: u32,
    /// Kept open: strace would die of a closed pipe when it reports a new thread.
    _messages: Lines<BufReader<ChildStderr>>,
}

impl Trace {
    /// Returns once the process is traced.
    async fn attach(pid: u32, file: &Path) -> anyhow::Result<Self> {
        let mut strace = Command::new("strace")
            .args(["-f", "-ttt", "-yy", "-s", "64", "-e"])
            .arg("trace=fsync,fdatasync,sendto,write,pwrite64,writev")
            .arg("-o")
            .arg(file)
            .arg("-p")
            .arg(pid.to_string())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("strace is not installed; `cargo xtask test` installs it")?;
        let stderr = strace.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let attached = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains("attached") {
                    return Ok(());
                }
                ensure!(
                    !line.contains("Operation not permitted"),
                    "tracing is not permitted: {line}"
                );
            }
            anyhow::bail!("strace ended")
        };
        tokio::time::timeout(PATIENCE, attached)
            .await
            .context("strace did not attach")??;
        Ok(Self {
            strace,
            pid,
            _messages: lines,
        })
    }

    /// Lets the process go; the file is complete afterwards.
    async fn detach(mut self) -> anyhow::Result<()> {
        let strace = self.strace.id().context("strace has ended")?.to_string();
        Command::new("kill")
            .args(["-INT", &strace])
            .status()
            .await?;
        tokio::time::timeout(PATIENCE, self.strace.wait())
            .await
            .with_context(|| format!("strace does not let {} go", self.pid))??;
        Ok(())
    }
}

/// Seconds of each call whose line `wanted` takes; when it ended, if it was interrupted.
fn times(trace: &str, wanted: impl Fn(&str) -> bool) -> Vec<f64> {
    let mut times = Vec::new();
    for line in trace.lines().filter(|line| wanted(line)) {
        let mut words = line.split_whitespace();
        let (_thread, at) = (words.next(), words.next());
        times.extend(at.and_then(|at| at.parse::<f64>().ok()));
    }
    times
}

/// A sync that has returned: whole in one line, or the line that resumes it.
fn is_done_sync(line: &str) -> bool {
    line.contains("sync") && line.ends_with("= 0")
}

async fn send_one(server: &Server, n: u32) -> anyhow::Result<()> {
    let mut client = server
        .connect(&server.user(Version::V311, "alice", "phone"))
        .await?;
    let request = json!({
        "client_msg_id": format!("traced-{n}"), "target_type": "single", "target_id": "bobby",
        "msg_type": "text", "msg_body": { "text": "is it on disk?" },
    });
    client.ok("$im/message/send", &request).await?;
    client.disconnect(0).await
}

#[tokio::test]
async fn sqlite_syncs_before_it_acknowledges() -> anyhow::Result<()> {
    let server = Server::start(Backend::Sqlite, "").await?;
    server.add_user("alice").await?;
    server.add_user("bobby").await?;
    let file = server.folder().join("strace.txt");
    let trace = Trace::attach(server.pid().context("no server")?, &file).await?;
    send_one(&server, 1).await?;
    trace.detach().await?;
    let trace = std::fs::read_to_string(&file)?;
    let answers = times(&trace, |line| {
        line.contains("sendto(") && line.contains("$im/reply")
    });
    let answer = *answers
        .first()
        .with_context(|| format!("no answer in {trace}"))?;
    let message = times(&trace, |line| {
        line.contains("-wal>") && line.contains("write") && !line.contains("resumed")
    });
    let syncs = times(&trace, is_done_sync);
    let written = message.iter().copied().rfind(|at| *at < answer);
    let written = written.with_context(|| format!("nothing was written to the log: {trace}"))?;
    ensure!(
        syncs.iter().any(|sync| written < *sync && *sync < answer),
        "no sync between the write at {written} and the answer at {answer}: {trace}"
    );
    server.discard().await
}

#[tokio::test]
async fn postgres_syncs_before_we_acknowledge() -> anyhow::Result<()> {
    use partyline_plugin::database::Pool;
    use partyline_plugin::sqlx;

    let server = Server::start(Backend::Postgres, "").await?;
    server.add_user("alice").await?;
    server.add_user("bobby").await?;
    let database = server.database().open().await?;
    let Pool::Postgres(pool) = database.pool() else {
        anyhow::bail!("not PostgreSQL")
    };
    // The backend process of every connection of the server: they are traced one by one, since the
    // postmaster only starts them.
    let backends: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid()",
    )
    .fetch_all(pool)
    .await?;
    ensure!(!backends.is_empty(), "the server has no connection");
    let postmaster: i32 = {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", backends[0]))?;
        let (_, fields) = stat.rsplit_once(')').context("no fields")?;
        fields
            .split_whitespace()
            .nth(1)
            .context("no parent")?
            .parse()?
    };
    let ours = server.folder().join("strace-server.txt");
    let tracing_server = Trace::attach(server.pid().context("no server")?, &ours).await?;
    let mut traces = Vec::new();
    for pid in backends.into_iter().chain([postmaster]) {
        let file = server.folder().join(format!("strace-{pid}.txt"));
        traces.push((Trace::attach(u32::try_from(pid)?, &file).await?, file));
    }
    send_one(&server, 1).await?;
    tracing_server.detach().await?;
    let mut theirs = String::new();
    for (trace, file) in traces {
        trace.detach().await?;
        theirs += &std::fs::read_to_string(&file)?;
    }
    let ours = std::fs::read_to_string(&ours)?;
    let answers = times(&ours, |line| {
        line.contains("sendto(") && line.contains("$im/reply")
    });
    let answer = *answers
        .first()
        .with_context(|| format!("no answer in {ours}"))?;
    // Our last word to the database before the answer is the COMMIT.
    let asked = times(&ours, |line| {
        line.contains("sendto(") && line.contains("COMMIT")
    });
    let commit = asked.iter().copied().rfind(|at| *at < answer);
    let commit = commit.with_context(|| format!("no COMMIT in {ours}"))?;
    let syncs = times(&theirs, |line| {
        line.contains("pg_wal") && line.contains("sync")
    });
    ensure!(
        syncs.iter().any(|sync| commit < *sync && *sync < answer),
        "no sync of the log between COMMIT at {commit} and the answer at {answer}: {theirs}"
    );
    database.close().await;
    server.discard().await
}
