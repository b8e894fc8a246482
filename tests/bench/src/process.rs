//! What a process uses, from `/proc`.

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

/// Processor time of user and system, milliseconds.
pub(crate) fn cpu_ms(pid: u32) -> anyhow::Result<u64> {
    /// `USER_HZ`: the unit of the times in `/proc`, 100 on every Linux.
    const TICK_MS: u64 = 10;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no fields")?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut next = || times.next().context("no times")?.context("no number");
    Ok((next()? + next()?) * TICK_MS)
}
