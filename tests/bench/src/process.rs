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
