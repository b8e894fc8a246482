//! What strace wrote, as calls that began and returned.

use std::collections::HashMap;

/// A system call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    /// The file or socket that it was made on.
    pub(super) on: String,
    /// Everything between the parentheses and behind them.
    pub(super) text: String,
    /// In seconds.
    pub(super) began: f64,
    /// In seconds; infinite if it was still going on at the end of the trace.
    pub(super) returned: f64,
}

impl Call {
    pub(super) fn is_send(&self) -> bool {
        matches!(&*self.name, "sendto" | "sendmsg" | "write" | "writev")
    }

    pub(super) fn is_receive(&self) -> bool {
        matches!(&*self.name, "recvfrom" | "recvmsg" | "read" | "readv")
    }

    pub(super) fn is_write(&self) -> bool {
        matches!(&*self.name, "pwrite64" | "pwritev" | "write" | "writev")
    }

    /// A sync that succeeded.
    pub(super) fn is_sync(&self) -> bool {
        matches!(&*self.name, "fsync" | "fdatasync") && self.text.contains(") = 0 <")
    }

    /// Whether it was done between these two: nothing that began earlier or returned later counts.
    pub(super) fn is_between(&self, before: &Self, after: &Self) -> bool {
        self.began >= before.began && self.returned <= after.began
    }
}

/// The calls in the order in which they began.
pub(super) fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    // The unfinished call of each thread, as a place in `calls`.
    let mut unfinished: HashMap<&str, usize> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else {
            continue;
        };
        let Some((began, rest)) = rest.trim_start().split_once(' ') else {
            continue;
        };
        let Ok(began) = began.parse::<f64>() else {
            continue;
        };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((_, end)) = resumed.split_once(" resumed>") else {
                continue;
            };
            if let Some(call) = unfinished.remove(thread).and_then(|n| calls.get_mut(n)) {
                call.text.push_str(end.trim_start());
                call.complete();
            }
        } else if let Some((name, text)) = rest.split_once('(') {
            let begun = text.strip_suffix(" <unfinished ...>");
            let mut call = Call {
                name: name.to_owned(),
                on: String::new(),
                text: begun.unwrap_or(text).to_owned(),
                began,
                returned: f64::INFINITY,
            };
            if begun.is_some() {
                unfinished.insert(thread, calls.len());
            } else {
                call.complete();
            }
            calls.push(call);
        }
    }
    calls.sort_by(|one, other| one.began.total_cmp(&other.began));
    calls
}

impl Call {
    /// Takes the file and the time of the return from the whole text.
    fn complete(&mut self) {
        // strace fills up with spaces before the result.
        if let Some((arguments, result)) = self.text.rsplit_once(") ")
            && let Some(result) = result.trim_start().strip_prefix("= ")
        {
            self.text = format!("{arguments}) = {result}");
        }
        let file = self.text.split_once('<').map(|(_, rest)| rest);
        let end = file.and_then(|file| file.find(">,").or_else(|| file.find(">)")));
        if let (Some(file), Some(end)) = (file, end) {
            self.on = file[..end].to_owned();
        }
        let lasted = self
            .text
            .rsplit_once(" <")
            .and_then(|(_, lasted)| lasted.strip_suffix('>'))
            .and_then(|lasted| lasted.parse::<f64>().ok());
        if let Some(lasted) = lasted {
            self.returned = self.began + lasted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_interrupted_is_one_call() {
        let calls = parse(
            "7 10.100000 fdatasync(5</d/x-wal> <unfinished ...>\n\
             8 10.200000 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"a(b\", 3, 0, NULL, 0) = 3 <0.000020>\n\
             7 10.300000 <... fdatasync resumed>)        = 0 <0.250000>\n\
             8 10.400000 fsync(5</d/x-wal>) = -1 EIO (Input/output error) <0.000100>\n\
             7 10.500000 fsync(6</d/y> <unfinished ...>\n",
        );
        let [sync, send, failed, endless] = &calls[..] else {
            panic!("{calls:?}")
        };
        assert!(sync.is_sync() && sync.on == "/d/x-wal", "{sync:?}");
        assert!((sync.returned - 10.35).abs() < 1e-6, "{sync:?}");
        assert!(send.is_send(), "{send:?}");
        assert_eq!(send.on, "TCP:[127.0.0.1:1->127.0.0.1:2]");
        assert!(!failed.is_sync(), "{failed:?}");
        assert!(!endless.is_sync() && endless.returned.is_infinite());
        assert!(!sync.is_between(sync, send), "it returned later");
    }
}
