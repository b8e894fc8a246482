//! How often a password may be wrong, per address and per account.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use parking_lot::Mutex;
use partyline_protocol::{AppKey, Username};

use crate::address;
use crate::config::FailureConfig;

/// Counts wrong passwords. Asked before a password is hashed, told after it was wrong.
#[derive(Debug)]
pub(crate) struct Failures {
    addresses: Mutex<Buckets<IpAddr>>,
    accounts: Mutex<Buckets<(AppKey, Username)>>,
}

impl Failures {
    pub(crate) fn new(config: &FailureConfig) -> Self {
        let buckets = |burst, seconds| Buckets::new(burst, seconds, config.remembered);
        Self {
            addresses: Mutex::new(buckets(config.address_burst, config.address_seconds)),
            accounts: Mutex::new(Buckets::new(
                config.account_burst,
                config.account_seconds,
                config.remembered,
            )),
        }
    }

    /// Whether a password from this address for this account may be tried now. The account need
    /// not exist: it counts the same, so that names can't be told apart.
    pub(crate) fn allows(&self, peer: IpAddr, app: &AppKey, user: &Username, now: i64) -> bool {
        self.addresses.lock().allows(&address::counted(peer), now)
            && self
                .accounts
                .lock()
                .allows(&(app.clone(), user.clone()), now)
    }

    pub(crate) fn failed(&self, peer: IpAddr, app: &AppKey, user: &Username, now: i64) {
        self.addresses.lock().failed(address::counted(peer), now);
        self.accounts
            .lock()
            .failed((app.clone(), user.clone()), now);
    }
}

/// Leaky buckets: each failure fills one by an interval, time empties it.
///
/// Attempts that run side by side may overfill a bucket; the surplus is debt that delays the next
/// attempt, so the long-term rate holds, and the hash queue bounds the surplus.
#[derive(Debug)]
struct Buckets<K> {
    /// When each bucket is empty again, milliseconds.
    empty_at: HashMap<K, i64>,
    interval_ms: i64,
    burst: i64,
    capacity: usize,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(burst: NonZeroU32, seconds: NonZeroU32, capacity: usize) -> Self {
        Self {
            empty_at: HashMap::new(),
            interval_ms: i64::from(seconds.get()) * 1000,
            burst: i64::from(burst.get()),
            capacity,
        }
    }

    fn allows(&self, key: &K, now: i64) -> bool {
        let Some(empty_at) = self.empty_at.get(key) else {
            return true;
        };
        let level = empty_at.saturating_sub(now);
        level <= self.interval_ms.saturating_mul(self.burst - 1)
    }

    fn failed(&mut self, key: K, now: i64) {
        if self.empty_at.len() >= self.capacity && !self.empty_at.contains_key(&key) {
            self.empty_at.retain(|_, empty_at| *empty_at > now);
            // Still full: those who failed first are remembered, a newcomer is not. Whoever has
            // that many addresses is slowed by the hash queue alone.
            if self.empty_at.len() >= self.capacity {
                return;
            }
        }
        let empty_at = self.empty_at.entry(key).or_insert(now);
        *empty_at = (*empty_at).max(now).saturating_add(self.interval_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(burst: u32, seconds: u32, capacity: usize) -> Buckets<u8> {
        let number = |n| NonZeroU32::new(n).unwrap();
        Buckets::new(number(burst), number(seconds), capacity)
    }

    #[test]
    fn a_burst_is_allowed_then_one_an_interval() {
        let mut buckets = buckets(3, 10, 8);
        for _ in 0..3 {
            assert!(buckets.allows(&1, 0));
            buckets.failed(1, 0);
        }
        assert!(!buckets.allows(&1, 0));
        assert!(buckets.allows(&2, 0));
        assert!(!buckets.allows(&1, 9_999));
        assert!(buckets.allows(&1, 10_000));
        buckets.failed(1, 10_000);
        assert!(!buckets.allows(&1, 10_000));
        assert!(buckets.allows(&1, 60_000));
    }

    #[test]
    fn memory_is_bounded_and_the_first_are_remembered() {
        let mut buckets = buckets(1, 10, 2);
        for key in 0..5 {
            buckets.failed(key, 0);
        }
        assert_eq!(buckets.empty_at.len(), 2);
        assert!(!buckets.allows(&0, 0));
        buckets.failed(9, 10_000);
        assert!(!buckets.allows(&9, 10_000), "what has emptied makes room");
    }

    #[test]
    fn addresses_and_accounts_count_apart() {
        let config = FailureConfig {
            address_burst: NonZeroU32::new(3).unwrap(),
            account_burst: NonZeroU32::new(2).unwrap(),
            ..FailureConfig::default()
        };
        let failures = Failures::new(&config);
        let app = AppKey::parse("abcdefghijklmnopqrstuvwx").unwrap();
        let user = |name: &str| Username::parse(name).unwrap();
        let peer = |n: u8| IpAddr::from([192, 0, 2, n]);
        failures.failed(peer(1), &app, &user("alice"), 0);
        failures.failed(peer(1), &app, &user("alice"), 0);
        assert!(
            !failures.allows(peer(2), &app, &user("alice"), 0),
            "the account, from anywhere"
        );
        assert!(failures.allows(peer(1), &app, &user("bobby"), 0));
        failures.failed(peer(1), &app, &user("bobby"), 0);
        assert!(
            !failures.allows(peer(1), &app, &user("carol"), 0),
            "the address, for anybody"
        );
        assert!(failures.allows(peer(2), &app, &user("carol"), 0));
    }
}
