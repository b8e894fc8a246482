//! Why the directory refuses.

use partyline_protocol::{AppKey, IdError, Username};
use thiserror::Error;

use crate::hashing::HashError;
use crate::password::PasswordError;

/// Which rule a change broke, or what failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// There is no such app.
    #[error("there is no app {0}")]
    NoSuchApp(AppKey),
    /// Another app has the name.
    #[error("there is an app named {0:?} already")]
    AppExists(String),
    /// The name can't be an app's.
    #[error("an app's name has 1 to 64 characters and no control characters")]
    AppName,
    /// There is no such user in the app.
    #[error("there is no user {0} in the app")]
    NoSuchUser(Username),
    /// The app has a user of that name.
    #[error("there is a user {0} in the app already")]
    UserExists(Username),
    /// A user of that name was deleted, and what was theirs is still being removed.
    #[error("the deleted user {0} is still being removed by the server, try again")]
    StillDeleting(Username),
    /// The password breaks a rule.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A new id broke its own rules.
    #[error("a new id could not be made")]
    Id(#[from] IdError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}
