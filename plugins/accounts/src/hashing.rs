//! argon2id on a few threads, with a bounded queue before them.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use partyline_plugin::Tasks;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::PasswordConfig;

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashError {
    /// Too many passwords wait already.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The work was lost: the process is stopping or out of memory.
    #[error("the password could not be hashed")]
    Failed,
}

/// The configured cost is outside of what argon2 allows.
#[derive(Debug, Error)]
#[error("the cost of passwords is not possible: {0}")]
pub struct BadCost(String);

/// Hashes and verifies passwords. Cheap to clone; clones share the limits.
#[derive(Clone)]
pub(crate) struct Hasher(Arc<Inner>);

struct Inner {
    argon2: Argon2<'static>,
    /// What a password for an unknown user is verified against, so that it costs the same.
    dummy: Box<str>,
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
    tasks: Tasks,
}

impl Hasher {
    pub(crate) fn new(config: &PasswordConfig, tasks: Tasks) -> Result<Self, BadCost> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)
            .map_err(|error| BadCost(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon2, b"nobody's").ok_or_else(|| BadCost("no memory".to_owned()))?;
        let cores = available_parallelism().map_or(1, usize::from);
        let at_once = if config.at_once > 0 {
            config.at_once
        } else {
            cores - 1
        };
        let at_once = at_once.max(1);
        Ok(Self(Arc::new(Inner {
            argon2,
            dummy: dummy.into(),
            // Those that run hold their place in the queue too.
            waiting: Arc::new(Semaphore::new(at_once + config.queue)),
            running: Arc::new(Semaphore::new(at_once)),
            tasks,
        })))
    }

    /// The PHC string of a new password.
    pub(crate) async fn hash(&self, password: &[u8]) -> Result<String, HashError> {
        let (inner, password) = (Arc::clone(&self.0), password.to_vec());
        self.in_turn(move || hash(&inner.argon2, &password))
            .await?
            .ok_or(HashError::Failed)
    }

    /// Whether the password is the one that `phc` was made of; `None` = there is no such user,
    /// which takes as long and is never right.
    pub(crate) async fn verify(
        &self,
        password: &[u8],
        phc: Option<&str>,
    ) -> Result<bool, HashError> {
        let (inner, password) = (Arc::clone(&self.0), password.to_vec());
        let phc = phc.map(Box::<str>::from);
        self.in_turn(move || {
            let against = phc.as_deref().unwrap_or(&inner.dummy);
            let right = inner.argon2.verify_password(&password, against).is_ok();
            right && phc.is_some()
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.0.waiting).try_acquire_owned();
        let place = place.map_err(|_| HashError::Busy)?;
        let turn = Arc::clone(&self.0.running).acquire_owned().await;
        let turn = turn.map_err(|_| HashError::Failed)?;
        // The permits go with the work: it goes on when its connection is gone.
        let permits: [OwnedSemaphorePermit; 2] = [place, turn];
        let work = move || {
            let result = work();
            drop(permits);
            result
        };
        self.0.tasks.blocking(work).await.ok_or(HashError::Failed)
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Option<String> {
    argon2
        .hash_password(password)
        .ok()
        .map(|hash| hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn hasher(config: &PasswordConfig) -> Hasher {
        Hasher::new(config, Tasks::default()).unwrap()
    }

    #[tokio::test]
    async fn passwords_are_argon2id_with_the_configured_cost() {
        let defaults = PasswordConfig::default();
        let phc = hasher(&defaults).hash(b"correct horse").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_verifies() {
        let hasher = hasher(&Config::for_test().passwords);
        let phc = hasher.hash(b"correct horse").await.unwrap();
        assert_eq!(hasher.verify(b"correct horse", Some(&phc)).await, Ok(true));
        assert_eq!(hasher.verify(b"wrong horse", Some(&phc)).await, Ok(false));
        assert_eq!(hasher.verify(b"nobody's", None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_full_queue_is_busy() {
        let config = PasswordConfig {
            at_once: 1,
            queue: 1,
            ..Config::for_test().passwords
        };
        let hasher = hasher(&config);
        let running = Arc::clone(&hasher.0.running).acquire_owned().await.unwrap();
        let place = Arc::clone(&hasher.0.waiting).acquire_owned().await.unwrap();
        let waits = hasher.verify(b"some", None);
        let overflows = async {
            let refused = hasher.verify(b"more", None).await;
            drop((running, place));
            refused
        };
        // Polled in order: the second finds the first in the queue.
        let (waited, refused) = tokio::join!(biased; waits, overflows);
        assert_eq!(refused, Err(HashError::Busy));
        assert_eq!(waited, Ok(false));
    }

    #[test]
    fn an_impossible_cost_is_an_error() {
        let config = PasswordConfig {
            memory_kib: 1,
            ..PasswordConfig::default()
        };
        assert!(Hasher::new(&config, Tasks::default()).is_err());
    }
}
