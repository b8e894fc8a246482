//! How often a password may be wrong, per address and per account.

use std::net::IpAddr;

use partyline_protocol::{AppKey, ClientId, Username};

use crate::address;
use crate::buckets::{Buckets, Places};
use crate::config::FailureConfig;

/// Counts wrong passwords and wrong device secrets.
#[derive(Debug)]
pub(crate) struct Failures {
    addresses: Buckets,
    /// Of users, of users on one client id, and of devices.
    accounts: Buckets,
}

/// What is counted for itself, wherever it comes from.
#[derive(Debug, Clone, Copy, Hash)]
enum Account<'a> {
    User(&'a AppKey, &'a Username),
    /// Refused although the password was right.
    UserOn(&'a AppKey, &'a Username, &'a ClientId),
    Device(&'a AppKey, &'a ClientId),
}

/// A try that counts as a failure until it is taken back. Dropped, it stays one: whoever doesn't
/// wait for the answer has caused the work all the same.
#[must_use]
#[derive(Debug)]
pub(crate) struct Try<'a> {
    failures: &'a Failures,
    address: Places,
    account: Places,
}

impl Try<'_> {
    /// It was no failure.
    pub(crate) fn take_back(self) {
        self.failures.addresses.give_back(self.address);
        self.failures.accounts.give_back(self.account);
    }
}

impl Failures {
    pub(crate) fn new(config: &FailureConfig) -> Self {
        let (addresses, accounts) = (
            (config.address_burst, config.address_seconds),
            (config.account_burst, config.account_seconds),
        );
        Self {
            addresses: Buckets::new(addresses.0, addresses.1, config.buckets),
            accounts: Buckets::new(accounts.0, accounts.1, config.buckets),
        }
    }

    /// Asks, before a password is hashed, whether one from this address for this account may be
    /// tried now, and counts it: so that tries side by side can't all pass before the first has
    /// failed. The account need not exist: it counts the same, and names can't be told apart.
    pub(crate) fn try_password(
        &self,
        peer: IpAddr,
        app: &AppKey,
        user: &Username,
        now: i64,
    ) -> Option<Try<'_>> {
        self.count(peer, Account::User(app, user), now)
    }

    /// Counts a device whose secret was wrong; `false` if that was one too many. The right secret
    /// is never asked for this: nobody else's guesses keep a device out.
    pub(crate) fn wrong_secret(
        &self,
        peer: IpAddr,
        app: &AppKey,
        client_id: &ClientId,
        now: i64,
    ) -> bool {
        self.count(peer, Account::Device(app, client_id), now)
            .is_some()
    }

    /// Counts a right password of a user who is refused all the same from this client id.
    pub(crate) fn refused_on(&self, app: &AppKey, user: &Username, client_id: &ClientId, now: i64) {
        let account = Account::UserOn(app, user, client_id);
        // Full is as full as it gets.
        let _ = self.accounts.take(&account, now);
    }

    /// Whether the user was refused on this client id so often that it isn't worth a hash. On
    /// other client ids the user is not affected.
    pub(crate) fn is_refused_on(
        &self,
        app: &AppKey,
        user: &Username,
        client_id: &ClientId,
        now: i64,
    ) -> bool {
        let account = Account::UserOn(app, user, client_id);
        self.accounts.is_used_up(&account, now)
    }

    /// The account first: one that is used up costs the address, and so its neighbours, nothing.
    fn count(&self, peer: IpAddr, account: Account<'_>, now: i64) -> Option<Try<'_>> {
        let account = self.accounts.take(&account, now)?;
        let Some(address) = self.addresses.take(&address::counted(peer), now) else {
            self.accounts.give_back(account);
            return None;
        };
        Some(Try {
            failures: self,
            address,
            account,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn failures(address_burst: u32, account_burst: u32) -> (Failures, AppKey) {
        let config = FailureConfig {
            address_burst: NonZeroU32::new(address_burst).unwrap(),
            account_burst: NonZeroU32::new(account_burst).unwrap(),
            ..FailureConfig::default()
        };
        let app = AppKey::parse("abcdefghijklmnopqrstuvwx").unwrap();
        (Failures::new(&config), app)
    }

    fn user(name: &str) -> Username {
        Username::parse(name).unwrap()
    }

    fn peer(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn addresses_and_accounts_count_apart() {
        let (failures, app) = failures(3, 2);
        let fails = |n, name: &str| {
            failures
                .try_password(peer(n), &app, &user(name), 0)
                .is_some()
        };
        assert!(fails(1, "alice") && fails(1, "alice"));
        assert!(!fails(2, "alice"), "the account, from anywhere");
        assert!(fails(1, "bobby"), "what was refused didn't count");
        assert!(!fails(1, "carol"), "the address, for anybody");
        assert!(fails(2, "carol"));
    }

    #[test]
    fn tries_side_by_side_count_before_they_have_failed() {
        let (failures, app) = failures(50, 3);
        let alice = user("alice");
        let attempt = || failures.try_password(peer(1), &app, &alice, 0);
        let tries: Vec<_> = (0..10).filter_map(|_| attempt()).collect();
        assert_eq!(tries.len(), 3);
        tries.into_iter().for_each(Try::take_back);
        // All were right: nothing is left of them.
        let again: Vec<_> = (0..10).filter_map(|_| attempt()).collect();
        assert_eq!(again.len(), 3);
    }

    #[test]
    fn a_refused_client_id_leaves_the_users_others_alone() {
        let (failures, app) = failures(50, 2);
        let (alice, phone) = (user("alice"), ClientId::parse("phone").unwrap());
        for _ in 0..5 {
            failures.refused_on(&app, &alice, &phone, 0);
        }
        assert!(failures.is_refused_on(&app, &alice, &phone, 0));
        let tablet = ClientId::parse("tablet").unwrap();
        assert!(!failures.is_refused_on(&app, &alice, &tablet, 0));
        assert!(failures.try_password(peer(1), &app, &alice, 0).is_some());
    }

    #[test]
    fn one_stubborn_device_does_not_use_up_its_address() {
        let (failures, app) = failures(3, 2);
        let phone = ClientId::parse("phone").unwrap();
        let answers = [(); 10].map(|()| failures.wrong_secret(peer(1), &app, &phone, 0));
        assert_eq!(answers.iter().filter(|counted| **counted).count(), 2);
        assert!(
            failures
                .try_password(peer(1), &app, &user("alice"), 0)
                .is_some()
        );
    }
}
