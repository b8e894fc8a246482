//! How fast commands are taken: a token bucket that slows reading down, and refuses nothing.

use std::time::Duration;

use tokio::time::Instant;

/// Generic cell rate: `due` runs ahead of the clock by at most the burst.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    burst: Duration,
    due: Option<Instant>,
}

impl Pace {
    /// `per_second` 0 = no limit.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = if per_second == 0 {
            Duration::ZERO
        } else {
            Duration::from_secs(1) / per_second
        };
        Self {
            interval,
            burst: interval.saturating_mul(burst),
            due: None,
        }
    }

    /// A command was taken.
    pub(super) fn count(&mut self) {
        if !self.interval.is_zero() {
            let now = Instant::now();
            self.due = Some(self.due.map_or(now, |due| due.max(now)) + self.interval);
        }
    }

    /// Until when nothing more is read, if the burst is used up.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        let until = self.due?.checked_sub(self.burst)?;
        (until > Instant::now()).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lets_a_burst_through_and_then_one_at_a_time() {
        let mut pace = Pace::new(20, 100);
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
        let mut pace = Pace::new(0, 0);
        (0..10_000).for_each(|_| pace.count());
        assert_eq!(pace.paused_until(), None);
    }
}
