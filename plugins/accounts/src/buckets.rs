//! Leaky buckets in a table of fixed size.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::{NonZeroU32, NonZeroU64};

use parking_lot::Mutex;

/// What is taken from a key's bucket is given back by time, an interval for each.
///
/// A key's place in the table is its hash, seeded anew in each process: keys that share a place are
/// limited together, so whoever fills the table makes it stricter, never looser.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// When each bucket is empty again, milliseconds.
    empty_at: Mutex<Box<[i64]>>,
    /// How many there are.
    size: NonZeroU64,
    seed: RandomState,
    interval_ms: i64,
    burst: i64,
}

/// The place of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(usize);

impl Buckets {
    pub(crate) fn new(burst: NonZeroU32, seconds: NonZeroU32, size: NonZeroU32) -> Self {
        Self {
            empty_at: Mutex::new((0..size.get()).map(|_| 0).collect()),
            size: size.into(),
            seed: RandomState::new(),
            interval_ms: i64::from(seconds.get()) * 1000,
            burst: i64::from(burst.get()),
        }
    }

    /// Takes one from the key's burst; `None` if it is used up.
    pub(crate) fn take(&self, key: &impl Hash, now: i64) -> Option<Place> {
        let (place, mut table) = (self.place(key), self.empty_at.lock());
        let empty_at = table.get_mut(place.0)?;
        if self.is_full(*empty_at, now) {
            return None;
        }
        *empty_at = (*empty_at).max(now).saturating_add(self.interval_ms);
        Some(place)
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, place: Place) {
        if let Some(empty_at) = self.empty_at.lock().get_mut(place.0) {
            *empty_at = empty_at.saturating_sub(self.interval_ms);
        }
    }

    /// Whether the key's burst is used up.
    pub(crate) fn is_used_up(&self, key: &impl Hash, now: i64) -> bool {
        let table = self.empty_at.lock();
        let empty_at = table.get(self.place(key).0);
        empty_at.is_some_and(|empty_at| self.is_full(*empty_at, now))
    }

    fn is_full(&self, empty_at: i64, now: i64) -> bool {
        empty_at.saturating_sub(now) > self.interval_ms.saturating_mul(self.burst - 1)
    }

    fn place(&self, key: &impl Hash) -> Place {
        let place = self.seed.hash_one(key) % self.size;
        Place(usize::try_from(place).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(burst: u32, seconds: u32, size: u32) -> Buckets {
        let number = |n| NonZeroU32::new(n).unwrap();
        Buckets::new(number(burst), number(seconds), number(size))
    }

    #[test]
    fn a_burst_is_allowed_then_one_an_interval() {
        // Of this many, two places are the same for less than one process in a million.
        let buckets = buckets(3, 10, 4_000_000);
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
            let place = buckets.take(&1, 0).unwrap();
            assert!(buckets.is_used_up(&1, 0));
            buckets.give_back(place);
        }
        let place = buckets.take(&1, 0).unwrap();
        // Long after time gave it back: that is no credit.
        buckets.give_back(place);
        assert!(buckets.take(&1, 50_000).is_some());
        assert!(buckets.take(&1, 50_000).is_none());
    }

    #[test]
    fn a_full_table_is_stricter_and_never_grows() {
        let buckets = buckets(1, 10, 2);
        let taken = (0..100).filter(|key| buckets.take(key, 0).is_some());
        assert!(taken.count() <= 2);
        assert_eq!(buckets.empty_at.lock().len(), 2);
        assert!((100..200).all(|key| buckets.take(&key, 0).is_none()));
        assert!(buckets.take(&7, 10_000).is_some());
    }
}
