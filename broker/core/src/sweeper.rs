//! One coarse timer for all sessions: keep-alive, session expiry and delayed wills.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::kernel::Kernel;

const PERIOD: Duration = Duration::from_secs(1);

/// Seconds since the process began to count, for timestamps of four bytes.
pub(crate) fn coarse_secs() -> u32 {
    use std::sync::OnceLock;
    // Not state but an origin: any instant before the first use will do.
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    u32::try_from(ORIGIN.get_or_init(Instant::now).elapsed().as_secs()).unwrap_or(u32::MAX)
}

/// Sweeps until the broker stops; once at once, so that who comes first does not find a session
/// whose time was over before.
pub(crate) fn spawn(kernel: &Arc<Kernel>) {
    kernel.sweep();
    let work = Arc::clone(kernel);
    kernel.connections.spawn_until_stop(async move {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            period.tick().await;
            work.sweep();
        }
    });
}
