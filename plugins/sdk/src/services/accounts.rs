//! Who exists; provided by the plugin that keeps the users.

use async_trait::async_trait;
use partyline_protocol::{AppKey, Username};

use super::ServiceError;

/// What others may know of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserState {
    /// Exists and may log in.
    Active,
    /// Exists, but may not log in; still receives.
    Disabled,
}

/// The directory of apps and users.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Whether the app exists.
    async fn app_exists(&self, app: &AppKey) -> Result<bool, ServiceError>;

    /// The state of each user, `None` for those who do not exist; in the order asked, one query
    /// at most.
    async fn users(
        &self,
        app: &AppKey,
        usernames: &[Username],
    ) -> Result<Vec<Option<UserState>>, ServiceError>;
}
