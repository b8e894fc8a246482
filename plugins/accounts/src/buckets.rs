//! Leaky buckets in a table of fixed size.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::{NonZeroU32, NonZeroU64};

use parking_lot::Mutex;

/// What is taken from a key's bucket is given back by time, an interval for each.
///
/// The table has two rows. A key has a place in each, by a hash that is seeded anew in each process,
/// and is limited once both are used up: keys that share one place with it are no matter, and whoever
/// fills the whole table makes it stricter, never looser.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// When each place is empty again, milliseconds.
    rows: Mutex<[Box<[i64]>; 2]>,
    /// How many places a row has.
    places: NonZeroU64,
    seed: RandomState,
    interval_ms: i64,
    burst: i64,
}

/// Where a key is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places([usize; 2]);

impl Buckets {
    pub(crate) fn new(burst: NonZeroU32, seconds: NonZeroU32, places: NonZeroU32) -> Self {
        let row = || (0..places.get()).map(|_| 0).collect();
        Self {
            rows: Mutex::new([row(), row()]),
            places: places.into(),
            seed: RandomState::new(),
            interval_ms: i64::from(seconds.get()) * 1000,
            burst: i64::from(burst.get()),
        }
    }

    /// Takes one from the key's burst; `None` if it is used up.
    pub(crate) fn take(&self, key: &impl Hash, now: i64) -> Option<Places> {
        let (places, mut rows) = (self.places(key), self.rows.lock());
        if self.is_full(&rows, places, now) {
            return None;
        }
        change(&mut rows, places, |empty_at| {
            empty_at.max(now).saturating_add(self.interval_ms)
        });
        Some(places)
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, places: Places) {
        let mut rows = self.rows.lock();
        change(&mut rows, places, |empty_at| {
            empty_at.saturating_sub(self.interval_ms)
        });
    }

    /// Whether the key's burst is used up.
    pub(crate) fn is_used_up(&self, key: &impl Hash, now: i64) -> bool {
        self.is_full(&self.rows.lock(), self.places(key), now)
    }

    fn is_full(&self, rows: &[Box<[i64]>; 2], places: Places, now: i64) -> bool {
        let most = self.interval_ms.saturating_mul(self.burst - 1);
        let mut levels = rows
            .iter()
            .zip(places.0)
            .filter_map(|(row, at)| row.get(at));
        levels.all(|empty_at| empty_at.saturating_sub(now) > most)
    }

    fn places(&self, key: &impl Hash) -> Places {
        let hash = self.seed.hash_one(key);
        Places([hash, hash.rotate_left(32)].map(|hash| {
            // Each row by its own half of the hash.
            usize::try_from((hash >> 32) % self.places).unwrap_or_default()
        }))
    }
}

fn change(rows: &mut [Box<[i64]>; 2], places: Places, to: impl Fn(i64) -> i64) {
    for (row, at) in rows.iter_mut().zip(places.0) {
        if let Some(empty_at) = row.get_mut(at) {
            *empty_at = to(*empty_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(burst: u32, seconds: u32, places: u32) -> Buckets {
        let number = |n| NonZeroU32::new(n).unwrap();
        Buckets::new(number(burst), number(seconds), number(places))
    }

    #[test]
    fn a_burst_is_allowed_then_one_an_interval() {
        let buckets = buckets(3, 10, 8192);
        for _ in 0..3 {
            assert!(buckets.take(&1, 0).is_some());
        }
        assert!(buckets.is_used_up(&1, 0) && buckets.take(&1, 0).is_none());
        assert!(buckets.take(&2, 0).is_some());
        assert!(buckets.take(&1, 9_999).is_none(), "a refusal takes nothing");
        assert!(buckets.take(&1, 10_000).is_some());
        assert!(buckets.take(&1, 10_000).is_none());
        for _ in 0..3 {
            assert!(buckets.take(&1, 60_000).is_some(), "no more than a burst");
        }
        assert!(buckets.take(&1, 60_000).is_none());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let buckets = buckets(1, 10, 8);
        for _ in 0..3 {
            let places = buckets.take(&1, 0).unwrap();
            assert!(buckets.is_used_up(&1, 0));
            buckets.give_back(places);
        }
        let places = buckets.take(&1, 0).unwrap();
        // Long after time gave it back: that is no credit.
        buckets.give_back(places);
        assert!(buckets.take(&1, 50_000).is_some());
        assert!(buckets.take(&1, 50_000).is_none());
    }

    #[test]
    fn a_full_table_is_stricter_and_never_grows() {
        let buckets = buckets(1, 10, 2);
        let taken = (0..100).filter(|key| buckets.take(key, 0).is_some());
        assert!(taken.count() <= 4);
        assert!(buckets.rows.lock().iter().all(|row| row.len() == 2));
        assert!((100..200).all(|key| buckets.take(&key, 0).is_none()));
        // All four may have been counted in one place.
        assert!(buckets.take(&7, 40_000).is_some());
    }
}
