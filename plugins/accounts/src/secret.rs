//! Secrets that are made, not chosen: enough entropy that SHA-256 keeps them, without a salt.

use std::hint::black_box;

use partyline_protocol::{AppKey, IdError, RegistrationId, Secret};
use rand::RngExt;
use sha2::{Digest, Sha256};

/// What a login token begins with and no password may: a token never reaches argon2.
pub(crate) const TOKEN_PREFIX: &str = "plt_";
/// What an app's registration token begins with, so that it isn't taken for a device's own secret.
pub(crate) const REGISTRATION_PREFIX: &str = "plr_";
/// The least length of a secret that a device made itself: 128 bits.
pub(crate) const MIN_DEVICE_SECRET: usize = 16;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// 32 of 36 characters are 165 bits.
const LONG: usize = 32;

/// The hash under which a secret is stored.
#[derive(Clone, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct SecretHash(Vec<u8>);

impl SecretHash {
    pub(crate) fn of(secret: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(secret.as_ref()).to_vec())
    }

    /// Whether `secret` is the one that was stored, in a time that doesn't tell how much agrees.
    pub(crate) fn matches(&self, secret: impl AsRef<[u8]>) -> bool {
        let brought = Sha256::digest(secret.as_ref());
        let differing = self
            .0
            .iter()
            .zip(&brought[..])
            .fold(0, |all, (a, b)| all | (a ^ b));
        self.0.len() == brought.len() && black_box(differing) == 0
    }
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// Random text of `a-z` and `0-9` from the generator that the operating system seeds.
fn random_text(length: usize) -> String {
    let mut rng = rand::rng();
    let mut letter = || {
        let at = rng.random_range(0..ALPHABET.len());
        ALPHABET.get(at).copied().map_or('0', char::from)
    };
    (0..length).map(|_| letter()).collect()
}

/// An app's master secret or a developer's: 24 characters, as JMessage's are.
pub(crate) fn new_master_secret() -> Secret {
    Secret::new(random_text(24))
}

/// A password for a user who was given none.
pub(crate) fn new_password() -> Secret {
    Secret::new(random_text(20))
}

pub(crate) fn new_device_secret() -> Secret {
    Secret::new(random_text(LONG))
}

pub(crate) fn new_token() -> Secret {
    Secret::new(format!("{TOKEN_PREFIX}{}", random_text(LONG)))
}

pub(crate) fn new_registration_token() -> Secret {
    Secret::new(format!("{REGISTRATION_PREFIX}{}", random_text(LONG)))
}

pub(crate) fn new_app_key() -> Result<AppKey, IdError> {
    AppKey::parse(random_text(AppKey::LENGTH))
}

pub(crate) fn new_registration_id() -> Result<RegistrationId, IdError> {
    RegistrationId::parse(random_text(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_secrets_keep_to_their_form() {
        let key = new_app_key().unwrap();
        assert_eq!(key.as_str().len(), 24);
        assert_ne!(key, new_app_key().unwrap());
        let master = new_master_secret();
        assert!(
            master
                .expose()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
        assert_eq!(master.expose().len(), 24);
        assert!(new_token().expose().starts_with(TOKEN_PREFIX));
        assert_eq!(new_token().expose().len(), TOKEN_PREFIX.len() + LONG);
    }

    #[test]
    fn only_the_same_secret_matches_its_hash() {
        let hash = SecretHash::of("hush");
        assert!(hash.matches("hush"));
        assert!(!hash.matches("hus"));
        assert!(!SecretHash(Vec::new()).matches("hush"));
        assert_eq!(format!("{hash:?}"), "SecretHash(..)");
    }
}
