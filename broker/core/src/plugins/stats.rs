//! How often a hook was called, how that ended, and how long it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::description::{HookCounts, LatencyBucket};

/// Upper bounds of the latency buckets, microseconds.
const BOUNDS: [u64; 8] = [10, 50, 250, 1_000, 5_000, 25_000, 100_000, 250_000];

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
    pub(super) fn took(&self, time: Duration) {
        count(&self.calls);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        let place = BOUNDS.partition_point(|bound| bound * 1_000 < nanos);
        if let Some(bucket) = self.took.get(place) {
            count(bucket);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_in_one_bucket() {
        let stats = Stats::default();
        for micros in [0, 10, 11, 249_000, 250_000, 250_001, 10_000_000] {
            stats.took(Duration::from_micros(micros));
        }
        let counts = stats.read();
        let calls: Vec<u64> = counts.latency.iter().map(|bucket| bucket.calls).collect();
        assert_eq!(calls, [2, 1, 0, 0, 0, 0, 0, 2, 2]);
        assert_eq!(counts.calls, 7);
        assert_eq!(counts.total_micros, 10_749_022);
    }
}
