//! How fast a device's commands are taken, and how many of them run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The commands of one device. It outlives connections and sessions while it matters, so that
/// reconnecting starts no more of them than staying does.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// Runs ahead of the clock by at most the burst: the generic cell rate.
    due: Mutex<Option<Instant>>,
    running: AtomicUsize,
}

impl Commands {
    /// Room for one more to run; `None` beyond the limit.
    pub(crate) fn begin(self: &Arc<Self>, limit: usize) -> Option<Running> {
        let running = Running(Arc::clone(self));
        (self.running.fetch_add(1, Ordering::Relaxed) < limit).then_some(running)
    }

    /// Whether a fresh one would allow more.
    pub(super) fn matter(&self, now: Instant) -> bool {
        self.running.load(Ordering::Relaxed) > 0 || self.due.lock().is_some_and(|due| due > now)
    }
}

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Running(Arc<Commands>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A token bucket that slows reading down, and refuses nothing.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    burst: Duration,
    commands: Arc<Commands>,
    /// As it was last seen.
    due: Option<Instant>,
}

impl Pace {
    /// `per_second` 0 = no limit.
    pub(crate) fn new(commands: Arc<Commands>, per_second: u32, burst: u32) -> Self {
        let interval = if per_second == 0 {
            Duration::ZERO
        } else {
            Duration::from_secs(1) / per_second
        };
        let due = *commands.due.lock();
        Self {
            interval,
            burst: interval.saturating_mul(burst),
            commands,
            due,
        }
    }

    /// A command was taken.
    pub(crate) fn count(&mut self) {
        if !self.interval.is_zero() {
            let now = Instant::now();
            let mut due = self.commands.due.lock();
            *due = Some(due.map_or(now, |due| due.max(now)) + self.interval);
            self.due = *due;
        }
    }

    /// Until when nothing more is read, if the burst is used up.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        let until = self.due?.checked_sub(self.burst)?;
        (until > Instant::now()).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lets_a_burst_through_and_then_one_at_a_time() {
        let mut pace = Pace::new(Arc::default(), 20, 100);
        for _ in 0..100 {
            assert_eq!(pace.paused_until(), None);
            pace.count();
        }
        pace.count();
        let until = pace.paused_until().expect("the burst is used up");
        assert_eq!(until - Instant::now(), Duration::from_millis(50));
        tokio::time::sleep_until(until).await;
        assert_eq!(pace.paused_until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_limit() {
        let mut pace = Pace::new(Arc::default(), 0, 0);
        (0..10_000).for_each(|_| pace.count());
        assert_eq!(pace.paused_until(), None);
    }
}
