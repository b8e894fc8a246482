//! How often a user may send.

use std::collections::HashMap;

use partyline_protocol::Member;

const MINUTE_US: u64 = 60_000_000;

/// Users that are remembered before those at rest are forgotten.
const SWEEP_AT: usize = 10_000;

/// Counts sends: so many a minute, all at once if need be, then one at a time as the minute goes
/// by (the generic cell rate algorithm, which needs one number per user).
#[derive(Debug)]
pub(crate) struct Rates {
    per_minute: u32,
    /// Microseconds that a send takes from the minute; 0 = no limit.
    cost_us: u64,
    /// When each user will have the whole minute again.
    rested_at_us: HashMap<Member, u64>,
    sweep_at: usize,
}

impl Rates {
    pub(crate) fn new(per_minute: u32) -> Self {
        let cost_us = MINUTE_US.checked_div(u64::from(per_minute)).unwrap_or(0);
        Self {
            per_minute,
            cost_us,
            rested_at_us: HashMap::new(),
            sweep_at: SWEEP_AT,
        }
    }

    /// The most sends of a user in a minute.
    pub(crate) fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// A send that was counted came to nothing, through no fault of the user.
    pub(crate) fn give_back(&mut self, user: &Member) {
        if let Some(rested_at) = self.rested_at_us.get_mut(user) {
            *rested_at = rested_at.saturating_sub(self.cost_us);
        }
    }

    /// Counts a send. False if it is one too many; then it does not count.
    pub(crate) fn take(&mut self, user: &Member, now_ms: u64) -> bool {
        if self.cost_us == 0 {
            return true;
        }
        let now_us = now_ms * 1000;
        let rested_at = self.rested_at_us.get(user).copied().unwrap_or(0);
        let after = rested_at.max(now_us) + self.cost_us;
        if after - now_us > MINUTE_US {
            return false;
        }
        if self.rested_at_us.len() >= self.sweep_at {
            self.rested_at_us.retain(|_, rested_at| *rested_at > now_us);
            // Twice what is left, or a crowd of senders would make every send look at all.
            self.sweep_at = SWEEP_AT.max(self.rested_at_us.len() * 2);
        }
        self.rested_at_us.insert(user.clone(), after);
        true
    }
}

#[cfg(test)]
mod tests {
    use partyline_protocol::{AppKey, Username};

    use super::*;

    fn user(name: &str) -> Member {
        let appkey = AppKey::parse("a".repeat(24)).unwrap();
        Member {
            appkey,
            username: Username::parse(name).unwrap(),
        }
    }

    #[test]
    fn a_minute_holds_so_many() {
        let mut rates = Rates::new(60);
        let (alice, bobby) = (user("alice"), user("bobby"));
        let now = 1_000_000;
        assert!((0..60).all(|_| rates.take(&alice, now)));
        assert!(!rates.take(&alice, now));
        assert!(!rates.take(&alice, now + 999));
        assert!(rates.take(&bobby, now), "each user has its own minute");
        assert!(rates.take(&alice, now + 1000));
        assert!(!rates.take(&alice, now + 1000));
        assert!((0..60).all(|_| rates.take(&alice, now + 61_000)));
        rates.give_back(&alice);
        assert!(rates.take(&alice, now + 61_000));
        assert!(!rates.take(&alice, now + 61_000));
    }

    #[test]
    fn zero_is_no_limit() {
        let mut rates = Rates::new(0);
        assert!((0..1000).all(|_| rates.take(&user("alice"), 0)));
    }
}
