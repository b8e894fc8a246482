//! When a hook that faults again and again is not called any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Faults within [`WINDOW`] that open the breaker.
const FAULTS: u32 = 5;
const WINDOW: Duration = Duration::from_secs(30);
/// How long nothing is let through; then one call is, and if it is well, the breaker closes.
const PAUSE: Duration = Duration::from_secs(5);

/// Closed while all is well.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Read before each call, so that who never faults pays for nothing else.
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: u32,
    /// When the first of them was.
    since: Option<Instant>,
    /// When the next call is let through.
    trial: Option<Instant>,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether a call may be made now.
    pub(super) fn admits(&self) -> bool {
        if !self.is_open() {
            return true;
        }
        let now = Instant::now();
        let mut state = self.state.lock();
        let due = state.trial.is_none_or(|trial| trial <= now);
        if due {
            state.trial = Some(now + PAUSE);
        }
        due
    }

    /// A call was well.
    pub(super) fn well(&self) {
        if self.is_open() {
            *self.state.lock() = State::default();
            self.open.store(false, Ordering::Relaxed);
        }
    }

    /// A call faulted. True if that opened the breaker.
    pub(super) fn fault(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.since.is_none_or(|since| now - since > WINDOW) {
            (state.faults, state.since) = (0, Some(now));
        }
        state.faults += 1;
        let opens = state.faults >= FAULTS;
        if opens {
            state.trial = Some(now + PAUSE);
        }
        opens && !self.open.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_at_the_fifth_fault_and_closes_when_a_trial_is_well() {
        let breaker = Breaker::default();
        for _ in 0..4 {
            assert!(!breaker.fault());
            assert!(breaker.admits());
        }
        assert!(breaker.fault());
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits(), "one trial");
        assert!(!breaker.admits(), "one alone");
        breaker.fault();
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits());
        breaker.well();
        assert!(!breaker.is_open() && breaker.admits());
        assert!(!breaker.fault(), "it counts from the beginning");
    }

    #[tokio::test(start_paused = true)]
    async fn faults_that_lie_far_apart_open_nothing() {
        let breaker = Breaker::default();
        for _ in 0..20 {
            assert!(!breaker.fault());
            tokio::time::advance(WINDOW / 3).await;
        }
    }
}
