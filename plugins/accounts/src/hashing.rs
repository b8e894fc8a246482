//! argon2id on a few threads, with a bounded queue before them.

use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use partyline_plugin::Tasks;
use partyline_protocol::Secret;
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
    #[cfg(test)]
    computed: AtomicUsize,
}

/// What a password turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verified {
    /// Not the user's; or there is no such user.
    Wrong,
    Right {
        /// Its hash at the configured cost, if it was stored at another. As long as it is stored at
        /// another, the time that a wrong one takes tells that the user exists.
        rehashed: Option<Secret>,
    },
}

impl Hasher {
    pub(crate) fn new(config: &PasswordConfig, tasks: Tasks) -> Result<Self, BadCost> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)
            .map_err(|error| BadCost(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon2, b"nobody's").ok_or_else(|| BadCost("no memory".to_owned()))?;
        let at_once = at_once(config, available_parallelism().map_or(1, usize::from));
        Ok(Self(Arc::new(Inner {
            argon2,
            dummy: dummy.into(),
            // Those that run hold their place in the queue too.
            waiting: Arc::new(Semaphore::new(at_once + config.queue)),
            running: Arc::new(Semaphore::new(at_once)),
            tasks,
            #[cfg(test)]
            computed: 0.into(),
        })))
    }

    /// The PHC string of a new password.
    pub(crate) async fn hash(&self, password: &[u8]) -> Result<String, HashError> {
        let (inner, password) = (Arc::clone(&self.0), password.to_vec());
        self.in_turn(move || inner.hash(&password))
            .await?
            .ok_or(HashError::Failed)
    }

    /// Whether the password is the one that `phc` was made of; `None` = there is no such user,
    /// which takes as long and is never right.
    pub(crate) async fn verify(
        &self,
        password: &[u8],
        phc: Option<&str>,
    ) -> Result<Verified, HashError> {
        let (inner, password) = (Arc::clone(&self.0), password.to_vec());
        let phc = phc.map(Box::<str>::from);
        self.in_turn(move || {
            let right = inner.is_right(&password, phc.as_deref().unwrap_or(&inner.dummy));
            match phc {
                Some(phc) if right => Verified::Right {
                    rehashed: (!inner.is_at_present_cost(&phc))
                        .then(|| inner.hash(&password))
                        .flatten()
                        .map(Secret::new),
                },
                _ => Verified::Wrong,
            }
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

impl Inner {
    fn hash(&self, password: &[u8]) -> Option<String> {
        #[cfg(test)]
        self.computed.fetch_add(1, Ordering::Relaxed);
        hash(&self.argon2, password)
    }

    fn is_right(&self, password: &[u8], phc: &str) -> bool {
        #[cfg(test)]
        self.computed.fetch_add(1, Ordering::Relaxed);
        self.argon2.verify_password(password, phc).is_ok()
    }

    fn is_at_present_cost(&self, phc: &str) -> bool {
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        let stored = PasswordHash::new(phc).map(|hash| Params::try_from(&hash));
        matches!(stored, Ok(Ok(stored)) if cost(&stored) == cost(self.argon2.params()))
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// How many hashes run at once: a core is left to everything else.
fn at_once(config: &PasswordConfig, cores: usize) -> usize {
    if config.at_once > 0 {
        config.at_once
    } else {
        cores.saturating_sub(1).max(1)
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
        let right = Verified::Right { rehashed: None };
        assert_eq!(hasher.verify(b"correct horse", Some(&phc)).await, Ok(right));
        let wrong = hasher.verify(b"wrong horse", Some(&phc)).await;
        assert_eq!(wrong, Ok(Verified::Wrong));
        let nobody = hasher.verify(b"nobody's", None).await;
        assert_eq!(nobody, Ok(Verified::Wrong));
    }

    #[tokio::test]
    async fn an_unknown_user_and_a_wrong_password_are_the_same_work() {
        let hasher = hasher(&Config::for_test().passwords);
        let phc = hasher.hash(b"correct horse").await.unwrap();
        let computed = || hasher.0.computed.swap(0, Ordering::Relaxed);
        computed();
        for against in [None, Some(&*phc)] {
            let verified = hasher.verify(b"wrong horse", against).await;
            assert_eq!(verified, Ok(Verified::Wrong));
            assert_eq!(computed(), 1, "{against:?}");
        }
        assert_eq!(
            Params::try_from(&PasswordHash::new(&hasher.0.dummy).unwrap()).unwrap(),
            Params::try_from(&PasswordHash::new(&phc).unwrap()).unwrap(),
            "at the same cost"
        );
    }

    #[tokio::test]
    async fn a_password_stored_at_another_cost_is_hashed_anew_once_it_is_proven() {
        let cheap = Config::for_test().passwords;
        let old = hasher(&cheap).hash(b"correct horse").await.unwrap();
        let passes = cheap.passes + 1;
        let hasher = hasher(&PasswordConfig { passes, ..cheap });
        let wrong = hasher.verify(b"wrong horse", Some(&old)).await;
        assert_eq!(wrong, Ok(Verified::Wrong));
        let new = match hasher.verify(b"correct horse", Some(&old)).await {
            Ok(Verified::Right { rehashed }) => rehashed.unwrap(),
            other => panic!("{other:?}"),
        };
        assert!(new.expose().contains(",t=2,"));
        assert_eq!(
            hasher.verify(b"correct horse", Some(new.expose())).await,
            Ok(Verified::Right { rehashed: None })
        );
    }

    #[test]
    fn hashes_leave_a_core_free_by_default() {
        let config = PasswordConfig::default();
        assert_eq!([1, 2, 8].map(|cores| at_once(&config, cores)), [1, 1, 7]);
        let config = PasswordConfig {
            at_once: 3,
            ..config
        };
        assert_eq!(at_once(&config, 2), 3);
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
        assert_eq!(waited, Ok(Verified::Wrong));
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
