//! One login or logout of a connection after the other, in the order of arrival.

use partyline_plugin::SessionId;
use tokio::sync::{Mutex, MutexGuard};

const SHARDS: usize = 256;

/// Locks for connections; two that share one wait for each other, which is harmless.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::new(())).collect())
    }

    /// Waits for the connection's turn. The lock is fair, so who asks first is first.
    pub(crate) async fn of(&self, session: SessionId) -> Option<MutexGuard<'_, ()>> {
        let shard = usize::try_from(session.get()).unwrap_or_default() % SHARDS;
        match self.0.get(shard) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }
}
