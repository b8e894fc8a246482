//! The table `[plugins.accounts]`.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::Registration;

/// Configuration of the plugin. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How passwords are hashed.
    pub passwords: PasswordConfig,
    /// How often a password may be wrong.
    pub failures: FailureConfig,
    /// Devices and who may register one.
    pub devices: DeviceConfig,
    /// How long a kicked user is refused from the device.
    pub ban: BanConfig,
    /// How fresh the server's view of changes by other processes is.
    pub changes: ChangeConfig,
}

/// `[plugins.accounts.passwords]`: the cost of argon2id. The defaults are OWASP's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PasswordConfig {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes at once; 0 = one less than there are cores, at least 1.
    pub at_once: usize,
    /// Logins that may wait for a hash; one more is refused as busy.
    pub queue: usize,
}

/// `[plugins.accounts.failures]`: wrong passwords and device secrets. A limit is a number of failures
/// in a burst and the seconds after which one more is allowed. A password that is being checked
/// counts as wrong until it is known to be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FailureConfig {
    /// Failures in a burst from one address (IPv6: one /64).
    pub address_burst: NonZeroU32,
    /// Seconds for one more from that address.
    pub address_seconds: NonZeroU32,
    /// Failures in a burst for one account.
    pub account_burst: NonZeroU32,
    /// Seconds for one more for that account.
    pub account_seconds: NonZeroU32,
    /// Places of the tables that count failures of addresses, those of accounts, and first contacts.
    /// More make it rarer that two are counted together.
    pub buckets: NonZeroU32,
}

/// `[plugins.accounts.devices]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeviceConfig {
    /// Devices of one user.
    pub per_user: u32,
    /// Devices from one address (IPv6: one /64) that have not yet come back with their secret.
    pub passing_per_address: u32,
    /// First contacts in a burst from one address, whether or not the devices come back.
    pub contact_burst: NonZeroU32,
    /// Seconds for one more from that address.
    pub contact_seconds: NonZeroU32,
    /// Hours without a connection after which a device that never came back is removed.
    pub passing_hours: u32,
    /// Who may register devices in a new app: `open`, `token` or `closed`.
    pub new_app_registration: Registration,
}

/// `[plugins.accounts.ban]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BanConfig {
    /// Seconds after a first kick; each further one doubles them.
    pub first_seconds: u32,
    /// The most seconds, and how long without a ban starts over.
    pub longest_seconds: u32,
}

/// `[plugins.accounts.changes]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChangeConfig {
    /// Milliseconds between looks at the change log.
    pub poll_ms: u64,
    /// Seconds between looks for devices, tokens and entries that are too old.
    pub sweep_seconds: u64,
    /// Users and apps that are kept in memory.
    pub cached: usize,
}

impl Config {
    /// Cheap hashes and otherwise the defaults.
    pub fn for_test() -> Self {
        let passwords = PasswordConfig {
            memory_kib: 8,
            passes: 1,
            ..PasswordConfig::default()
        };
        Self {
            passwords,
            ..Self::default()
        }
    }
}

impl BanConfig {
    pub(crate) fn first_ms(&self) -> i64 {
        i64::from(self.first_seconds) * 1000
    }

    pub(crate) fn longest_ms(&self) -> i64 {
        i64::from(self.longest_seconds) * 1000
    }
}

impl DeviceConfig {
    pub(crate) fn passing_ms(&self) -> i64 {
        i64::from(self.passing_hours) * 3_600_000
    }
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
            lanes: 1,
            at_once: 0,
            queue: 256,
        }
    }
}

impl Default for FailureConfig {
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            address_burst: number(200),
            address_seconds: number(2),
            account_burst: number(30),
            account_seconds: number(20),
            buckets: number(8192),
        }
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            per_user: 20,
            passing_per_address: 1000,
            contact_burst: number(500),
            contact_seconds: number(10),
            passing_hours: 24,
            new_app_registration: Registration::Closed,
        }
    }
}

impl Default for BanConfig {
    fn default() -> Self {
        Self {
            first_seconds: 60,
            longest_seconds: 3600,
        }
    }
}

impl Default for ChangeConfig {
    fn default() -> Self {
        Self {
            poll_ms: 1000,
            sweep_seconds: 60,
            cached: 20_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_is_the_default_and_a_mistyped_key_an_error() {
        let empty: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Config::default());
        assert!(serde_json::from_str::<Config>(r#"{"password":{}}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"ban":{"first":1}}"#).is_err());
    }
}
