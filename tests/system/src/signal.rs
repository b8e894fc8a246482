//! Signals to processes.

use anyhow::ensure;
use tokio::process::Command;

/// Sends a signal, as `TERM` or `INT`. Through the shell's builtin, since the program `kill` is
/// not on every machine.
pub async fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()]);
    ensure!(
        shell.status().await?.success(),
        "{pid} cannot be sent SIG{name}"
    );
    Ok(())
}
