//! A counter for each reason code that refuses something.

use std::sync::atomic::{AtomicU64, Ordering};

use partyline_plugin::Reason;

/// The first code that is a refusal.
const FIRST: u8 = 0x80;
/// One more than the last code of MQTT 5, 0xa2.
const CODES: usize = 0x23;

#[derive(Debug)]
pub(crate) struct ByReason([AtomicU64; CODES]);

impl Default for ByReason {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl ByReason {
    /// Counts a refusal; what refuses nothing is passed over.
    pub(crate) fn count(&self, reason: Reason) {
        let place = reason.code().checked_sub(FIRST).map(usize::from);
        if let Some(counter) = place.and_then(|place| self.0.get(place)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The reasons that were counted, under names such as `not_authorized`.
    pub(super) fn counts(&self) -> impl Iterator<Item = (String, u64)> {
        let codes = (FIRST..).zip(&self.0);
        codes.filter_map(|(code, counter)| {
            let count = counter.load(Ordering::Relaxed);
            let reason = Reason::try_from(code).ok().filter(|_| count > 0)?;
            Some((reason.to_string().replace(' ', "_"), count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_place_and_nothing_else_has() {
        let counters = ByReason::default();
        let reasons = (0..=u8::MAX).filter_map(|code| Reason::try_from(code).ok());
        let mut errors = 0;
        for reason in reasons {
            counters.count(reason);
            errors += usize::from(reason.is_error());
        }
        assert_eq!(counters.counts().count(), errors);
        assert!(counters.counts().all(|(_, count)| count == 1));
        assert!(counters.counts().any(|(name, _)| name == "not_authorized"));
    }
}
