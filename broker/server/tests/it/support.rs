//! A data folder of its own for each test, and servers that are waited for, not slept for.

mod server;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use server::read_all;
pub(crate) use server::{PATIENCE, Server};

/// A data folder and the way to run the binary on it.
pub(crate) struct Home {
    folder: TempDir,
}

/// What a command left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `partyline.toml` into the data folder.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::write(self.path().join("partyline.toml"), text).unwrap();
    }

    /// The binary on this data folder, without the configuration of who runs the tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partyline"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PARTYLINE_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .arg("--data")
            .arg(self.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args), None)
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        Ran::of(self.command(args), Some(input))
    }

    /// A server on free ports, ready.
    pub(crate) fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }
}

impl Ran {
    /// Runs a command that ends by itself; fails the test if it does not.
    #[track_caller]
    fn of(mut command: Command, input: Option<&str>) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        if let Some(input) = input {
            let mut stdin = child.stdin.take().unwrap();
            // A command that does not read it may be gone already.
            drop(stdin.write_all(input.as_bytes()));
        }
        let stdout = read_all(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        let Ok(stdout) = stdout.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            panic!("{command:?} does not end: {}", stderr.recv().unwrap());
        };
        let code = child.wait().unwrap().code().unwrap();
        Self {
            code,
            stdout,
            stderr: stderr.recv().unwrap(),
        }
    }

    /// The standard output of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self.stdout
    }

    /// The standard output of a success, which is one line of JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// The one line of error of a failure that printed nothing else.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        assert_eq!((self.code, &*self.stdout), (1, ""), "{}", self.stderr);
        let line = self.stderr.lines().last().unwrap_or_default();
        line.strip_prefix("error: ")
            .unwrap_or_else(|| panic!("{}", self.stderr))
            .to_owned()
    }
}
