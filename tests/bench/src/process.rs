//! What a process uses, from `/proc`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;

/// Resident memory, bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no VmRSS")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// Fails if a process may not open so many files: a connection is one at each end.
pub(crate) fn ensure_open_files(process: &str, wanted: usize) -> anyhow::Result<()> {
    /// Listeners, databases and the like.
    const OTHERS: usize = 200;
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits"))?;
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next())
        .context("no limit of open files")?;
    let needed = wanted + OTHERS;
    anyhow::ensure!(
        soft.parse::<usize>().map_or(true, |soft| soft >= needed),
        "process {process} may open {soft} files and needs {needed}: start it after `ulimit -n {needed}`"
    );
    Ok(())
}

/// The processor time of a process at one moment, by thread, to the nanosecond.
#[derive(Debug)]
pub(crate) struct Cpu {
    pid: u32,
    threads: HashMap<String, u64>,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let ids = std::fs::read_dir(format!("/proc/{pid}/task"))
            .with_context(|| format!("process {pid} is gone"))?;
        let mut threads = HashMap::new();
        for thread in ids {
            let thread = thread?;
            let Ok(stat) = std::fs::read_to_string(thread.path().join("schedstat")) else {
                // It has just ended.
                continue;
            };
            let on_cpu = stat.split_whitespace().next().context("no time")?.parse()?;
            threads.insert(thread.file_name().to_string_lossy().into_owned(), on_cpu);
        }
        Ok(Self { pid, threads })
    }

    /// What it has used since then. Threads that ended meanwhile are not counted.
    pub(crate) fn elapsed(&self) -> anyhow::Result<Duration> {
        let now = Self::of(self.pid)?;
        let used = now.threads.iter().map(|(thread, time)| {
            time.saturating_sub(self.threads.get(thread).copied().unwrap_or_default())
        });
        Ok(Duration::from_nanos(used.sum()))
    }
}
