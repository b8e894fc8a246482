//! Accounts where everybody exists but those who don't.

use std::collections::HashSet;

use parking_lot::Mutex;
use partyline_plugin::async_trait;
use partyline_plugin::services::{Accounts, ServiceError, UserState};
use partyline_protocol::{AppKey, Username};
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct FakeAccounts {
    missing: Mutex<HashSet<String>>,
    /// A question waits while this has no permits.
    open: Semaphore,
    asked: Semaphore,
}

impl Default for FakeAccounts {
    fn default() -> Self {
        Self {
            missing: Mutex::default(),
            open: Semaphore::new(Semaphore::MAX_PERMITS),
            asked: Semaphore::new(0),
        }
    }
}

impl FakeAccounts {
    pub(crate) fn delete(&self, user: &str) {
        self.missing.lock().insert(user.to_owned());
    }

    /// Lets questions wait. Those before don't count as asked.
    pub(crate) fn stall(&self) {
        self.asked.forget_permits(Semaphore::MAX_PERMITS);
        self.open.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Answers them again.
    pub(crate) fn resume(&self) {
        self.open.add_permits(1000);
    }

    /// Returns once a question was asked that was not counted before.
    pub(crate) async fn asked(&self) {
        self.asked.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl Accounts for FakeAccounts {
    async fn app_exists(&self, _app: &AppKey) -> Result<bool, ServiceError> {
        Ok(true)
    }

    async fn users(
        &self,
        _app: &AppKey,
        usernames: &[Username],
    ) -> Result<Vec<Option<UserState>>, ServiceError> {
        self.asked.add_permits(1);
        let _permit = self.open.acquire().await.unwrap();
        let missing = self.missing.lock();
        let state =
            |name: &Username| (!missing.contains(name.as_str())).then_some(UserState::Active);
        Ok(usernames.iter().map(state).collect())
    }
}
