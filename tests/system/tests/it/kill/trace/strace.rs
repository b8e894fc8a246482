//! `strace` on processes and on all that they start.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use partyline_system_tests::signal;
use partyline_testkit::PATIENCE;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// What a message passes on its way to the disk and back.
const CALLS: &str = "trace=fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg,read,\
                     readv,recvfrom,recvmsg";

pub(super) struct Strace {
    child: Child,
    /// Kept open: strace would die of a closed pipe when it reports a new thread.
    _messages: Lines<BufReader<ChildStderr>>,
}

impl Strace {
    /// Returns once `process` is traced, and before it all of `others` that still run.
    pub(super) async fn attach(process: u32, others: &[u32], file: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("strace");
        // Whole messages, names of files and sockets, when a call began and how long it took.
        command.args(["-f", "-ttt", "-T", "-yy", "-s", "16384", "-e", CALLS, "-o"]);
        command.arg(file);
        for pid in others.iter().chain([&process]) {
            command.arg("-p").arg(pid.to_string());
        }
        let mut child = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("strace is not installed; `cargo xtask test` installs it")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let last = format!("Process {process} attached");
        let mut messages = Vec::new();
        let attached = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(&last) {
                    return Ok(());
                }
                messages.push(line);
            }
            anyhow::bail!("strace ended: {}", messages.join("; "))
        };
        tokio::time::timeout(PATIENCE, attached)
            .await
            .context("strace did not attach")??;
        Ok(Self {
            child,
            _messages: lines,
        })
    }

    /// Lets the processes go; the file is complete afterwards.
    pub(super) async fn detach(mut self) -> anyhow::Result<()> {
        signal(self.child.id().context("strace has ended")?, "INT").await?;
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .context("strace does not let the processes go")??;
        Ok(())
    }
}
