//! How often a hook was called, how that ended, and how long it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::description::{HookCounts, LatencyBucket};

/// Upper bounds of the latency buckets, microseconds.
const BOUNDS: [u64; 8] = [10, 50, 250, 1_000, 5_000, 25_000, 100_000, 250_000];

/// So many calls are all timed; after them, for the price of two looks at the clock on every message,
/// only one of [`SAMPLE`], which then counts for as many.
const ALL_TIMED: u64 = 1024;
const SAMPLE: u64 = 16;

/// A call that is timed.
#[derive(Debug)]
pub(super) struct Timing {
    began: Instant,
    /// How many calls it stands for.
    weight: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) calls: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) timeouts: AtomicU64,
    /// Calls that were not made, since the breaker was open.
    pub(super) withheld: AtomicU64,
    nanos: AtomicU64,
    /// One for each bound, and one for what took longer.
    took: [AtomicU64; BOUNDS.len() + 1],
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Stats {
    /// Counts a call that begins, and says whether it is timed.
    pub(super) fn begin(&self) -> Option<Timing> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let weight = weight(number)?;
        let began = Instant::now();
        Some(Timing { began, weight })
    }

    pub(super) fn end(&self, timing: &Timing) {
        self.took(timing.began.elapsed(), timing.weight);
    }

    fn took(&self, time: Duration, weight: u64) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let all = nanos.saturating_mul(weight);
        self.nanos.fetch_add(all, Ordering::Relaxed);
        let place = BOUNDS.partition_point(|bound| bound * 1_000 < nanos);
        if let Some(bucket) = self.took.get(place) {
            bucket.fetch_add(weight, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> HookCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
        HookCounts {
            calls: read(&self.calls),
            errors: read(&self.errors),
            panics: read(&self.panics),
            timeouts: read(&self.timeouts),
            withheld: read(&self.withheld),
            total_micros: read(&self.nanos) / 1_000,
            latency: bounds
                .zip(&self.took)
                .map(|(up_to_micros, calls)| LatencyBucket {
                    up_to_micros,
                    calls: read(calls),
                })
                .collect(),
        }
    }
}

/// How many calls the one with this number, from 0, stands for, if it is timed.
fn weight(number: u64) -> Option<u64> {
    if number < ALL_TIMED {
        Some(1)
    } else {
        number.is_multiple_of(SAMPLE).then_some(SAMPLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_timed_stands_for_all() {
        for calls in [1, ALL_TIMED, ALL_TIMED + SAMPLE, ALL_TIMED + 100 * SAMPLE] {
            assert_eq!((0..calls).filter_map(weight).sum::<u64>(), calls);
        }
    }

    #[test]
    fn each_call_is_in_one_bucket() {
        let stats = Stats::default();
        for micros in [0, 10, 11, 249_000, 250_000, 250_001, 10_000_000] {
            count(&stats.calls);
            stats.took(Duration::from_micros(micros), 1);
        }
        let counts = stats.read();
        let calls: Vec<u64> = counts.latency.iter().map(|bucket| bucket.calls).collect();
        assert_eq!(calls, [2, 1, 0, 0, 0, 0, 0, 2, 2]);
        assert_eq!(counts.calls, 7);
        assert_eq!(counts.total_micros, 10_749_022);
    }
}
