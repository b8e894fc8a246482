//! SIGTERM, SIGINT and SIGHUP.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Asked {
    /// An end. The exit code is that of a process that the signal ends, 128 and its number.
    Stop(ExitCode),
    /// To read the configuration again.
    Reload,
}

/// Told of the signals.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop(ExitCode::from(143)),
            _ = self.interrupt.recv() => Asked::Stop(ExitCode::from(130)),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for the next one that asks for an end; others come at the wrong time.
    pub(super) async fn stop(&mut self) -> ExitCode {
        loop {
            if let Asked::Stop(code) = self.next().await {
                return code;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Sends a signal to this process.
    fn send(name: &str) {
        let pid = std::process::id().to_string();
        // The shell's builtin, since the program `kill` is not on every machine.
        let mut shell = Command::new("sh");
        shell.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]);
        assert!(shell.status().unwrap().success());
    }

    #[tokio::test]
    async fn each_signal_asks_for_its_own() {
        let mut signals = Signals::install().unwrap();
        let stop = |code| Asked::Stop(ExitCode::from(code));
        for (name, asked) in [
            ("INT", stop(130)),
            ("TERM", stop(143)),
            ("HUP", Asked::Reload),
        ] {
            send(name);
            assert_eq!(signals.next().await, asked, "{name}");
        }
        send("HUP");
        send("TERM");
        assert_eq!(signals.stop().await, ExitCode::from(143));
    }
}
