//! A child process that doesn't outlive us, with all that it started.

use std::process::Command as Blocking;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

/// A child that leads its own process group, and is stopped on drop.
///
/// Its own group means that Ctrl-C reaches only us, and we decide what stops in which order.
pub(super) struct Supervised {
    child: Child,
    stop: Stop,
}

/// How to end a child that is still running when it is dropped.
pub(super) struct Stop {
    /// Name of the signal that asks for an orderly end, as `kill` spells it.
    pub(super) signal: &'static str,
    /// Whether the signal goes to the whole group or just to the child.
    pub(super) whole_group: bool,
    /// How long to wait before the whole group is killed.
    pub(super) patience: Duration,
}

impl Supervised {
    pub(super) fn spawn(command: &mut Command, stop: Stop) -> Result<Self> {
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        Ok(Self { child, stop })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.has_ended() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // No id any more: it has ended and was waited for, so its number may belong to another.
        let Some(id) = self.child.id() else { return };
        let group = format!("-{id}");
        let target = if self.stop.whole_group {
            group.clone()
        } else {
            id.to_string()
        };
        send(self.stop.signal, &target);
        if !self.wait(self.stop.patience) {
            eprintln!(
                "test: process {id} ignores SIG{}, killing it",
                self.stop.signal
            );
            send("KILL", &group);
            self.wait(Duration::from_secs(5));
        }
    }
}

/// Through the shell's builtin, since the program `kill` is not on every machine.
fn send(signal: &str, target: &str) {
    let script = "kill -s \"$1\" -- \"$2\"";
    if let Err(error) = Blocking::new("sh")
        .args(["-c", script, "sh", signal, target])
        .status()
    {
        eprintln!("test: cannot signal {target}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    fn is_running(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    fn stop(patience: Duration) -> Stop {
        Stop {
            signal: "TERM",
            whole_group: true,
            patience,
        }
    }

    #[tokio::test]
    async fn a_dropped_child_is_asked_to_stop() {
        let patient = stop(Duration::from_secs(30));
        let mut supervised = Supervised::spawn(&mut shell("sleep 600"), patient).unwrap();
        let id = supervised.child().id().unwrap();
        assert!(is_running(id));
        let start = Instant::now();
        drop(supervised);
        assert!(!is_running(id));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_stubborn_child_is_killed() {
        let impatient = stop(Duration::ZERO);
        let mut command = shell("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
        command.stdout(Stdio::piped());
        let mut supervised = Supervised::spawn(&mut command, impatient).unwrap();
        let id = supervised.child().id().unwrap();
        let stdout = supervised.child().stdout.take().unwrap();
        let line = BufReader::new(stdout).lines().next_line().await.unwrap();
        assert_eq!(line.as_deref(), Some("deaf"));
        drop(supervised);
        assert!(!is_running(id));
    }

    #[tokio::test]
    async fn a_finished_child_is_left_alone() {
        let mut supervised = Supervised::spawn(&mut shell("exit 3"), stop(Duration::ZERO)).unwrap();
        let status = supervised.child().wait().await.unwrap();
        assert_eq!(status.code(), Some(3));
        drop(supervised);
    }
}
