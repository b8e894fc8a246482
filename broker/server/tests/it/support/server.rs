use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long a server or command may take to end before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed if the test ends without stopping it.
pub(crate) struct Server {
    child: Child,
    /// What it printed before the ready line.
    pub(crate) before_ready: Vec<String>,
    /// The line that said it was ready.
    pub(crate) ready: String,
    rest: Receiver<String>,
    log: Log,
}

/// What it logs, line by line.
struct Log {
    lines: Receiver<String>,
    so_far: String,
}

/// What a server that ended left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) after_ready: String,
    pub(crate) log: String,
}

impl Server {
    /// Starts on free ports and returns at the ready line.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        let any = "127.0.0.1:0";
        command.args(["--mqtt", any, "--ws", any, "--http", any]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut log = Log {
            lines: read_lines(stderr),
            so_far: String::new(),
        };
        let (lines, rest) = read_lines_until_ready(child.stdout.take().unwrap());
        let mut before_ready = Vec::new();
        let ready = loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if is_ready(&line) => break line,
                Ok(line) => before_ready.push(line),
                Err(error) => {
                    drop(child.kill());
                    child.wait().unwrap();
                    panic!("not ready, {error}: {}", log.all());
                }
            }
        };
        Self {
            child,
            before_ready,
            ready,
            rest,
            log,
        }
    }

    /// The addresses of the ready line, by their names.
    pub(crate) fn addresses(&self) -> HashMap<&str, SocketAddr> {
        let words = self.ready.strip_prefix("ready ").unwrap().split(' ');
        words
            .map(|word| word.split_once('=').unwrap())
            .map(|(name, address)| (name, address.parse().unwrap()))
            .collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        // The shell's builtin, since the program `kill` is not on every machine.
        assert!(
            Command::new("sh")
                .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end, which was asked for: a process that ends closes its output.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let after_ready = self
            .rest
            .recv_timeout(PATIENCE)
            .expect("the server ends in time");
        Ended {
            log: self.log.all().to_owned(),
            status: self.child.wait().unwrap(),
            after_ready,
        }
    }

    /// Waits until it logs something with these words.
    #[track_caller]
    pub(crate) fn logs(&mut self, words: &str) {
        while !self.log.next().contains(words) {}
    }
}

impl Log {
    #[track_caller]
    fn next(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("nothing more in time: {}", self.so_far));
        self.so_far.push_str(&line);
        line
    }

    /// All of it, to the end.
    fn all(&mut self) -> &str {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.so_far.push_str(&line);
        }
        &self.so_far
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_ready(line: &str) -> bool {
    line.starts_with("ready ") || line.starts_with(r#"{"ready""#)
}

/// The lines up to the one that says it is ready, one by one, and then all the rest.
fn read_lines_until_ready(
    from: impl Read + Send + 'static,
) -> (Receiver<String>, Receiver<String>) {
    let (line_sender, lines) = mpsc::channel();
    let (rest_sender, rest) = mpsc::channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).unwrap() == 0 {
                return;
            }
            let line = line.trim_end().to_owned();
            let ready = is_ready(&line);
            drop(line_sender.send(line));
            if ready {
                break;
            }
        }
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        drop(rest_sender.send(text));
    });
    (lines, rest)
}

/// Every line with its end, read on a thread of its own so that the writer never has to wait.
fn read_lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).unwrap() == 0 {
                return;
            }
            drop(sender.send(line));
        }
    });
    receiver
}

/// Reads to the end, on a thread of its own so that the writer never has to wait.
pub(super) fn read_all(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        drop(sender.send(text));
    });
    receiver
}
