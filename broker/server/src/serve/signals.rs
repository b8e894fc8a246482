//! SIGTERM and SIGINT.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Told of the signals that ask for an end.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one; returns the exit code of a process that it ends, 128 and its number.
    pub(super) async fn next(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.terminate.recv() => ExitCode::from(143),
            _ = self.interrupt.recv() => ExitCode::from(130),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn each_signal_has_its_code() {
        let mut signals = Signals::install().unwrap();
        let pid = std::process::id().to_string();
        for (name, code) in [("INT", 130), ("TERM", 143)] {
            // The shell's builtin, since the program `kill` is not on every machine.
            let mut shell = Command::new("sh");
            shell.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]);
            let sent = shell.status();
            assert!(sent.unwrap().success());
            assert_eq!(signals.next().await, ExitCode::from(code), "{name}");
        }
    }
}
