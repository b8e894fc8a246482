//! Users.

use async_trait::async_trait;
use partyline_protocol::{AppKey, KickReason, Secret, Username};

use super::{Directory, DirectoryError, LogEntry};
use crate::store::{self, ChangeKind, Store, Transaction};
use crate::{password, secret};

/// A user as it was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewUser {
    /// The name.
    pub username: Username,
    /// The password, if it was made here; never shown again.
    pub password: Option<Secret>,
}

impl Directory {
    /// Adds a user, with a password made here if none is given.
    pub async fn add_user(
        &self,
        app: &AppKey,
        user: &Username,
        password: Option<&str>,
    ) -> Result<NewUser, DirectoryError> {
        let made = password.is_none().then(secret::new_password);
        let chosen = password
            .or(made.as_ref().map(Secret::expose))
            .unwrap_or_default();
        password::check(chosen.as_bytes())?;
        let phc = self.hasher().hash(chosen.as_bytes()).await?;
        self.change_user(app, user, Change::Add(phc), ChangeKind::UserCreated)
            .await?;
        Ok(NewUser {
            username: user.clone(),
            password: made,
        })
    }

    /// Keeps a user from logging in, ends their connections and revokes their tokens, or lets them
    /// in again.
    pub async fn disable_user(
        &self,
        app: &AppKey,
        user: &Username,
        disabled: bool,
    ) -> Result<(), DirectoryError> {
        let kind = if disabled {
            ChangeKind::Ended(KickReason::Disabled)
        } else {
            ChangeKind::UserEnabled
        };
        self.change_user(app, user, Change::Disable(disabled), kind)
            .await
    }

    /// Deletes a user with tokens, devices and stream.
    pub async fn delete_user(&self, app: &AppKey, user: &Username) -> Result<(), DirectoryError> {
        let kind = ChangeKind::Ended(KickReason::Deleted);
        self.change_user(app, user, Change::Delete, kind).await
    }

    /// Sets a new password: all tokens are revoked, all connections of the user ended.
    pub async fn set_password(
        &self,
        app: &AppKey,
        user: &Username,
        password: &str,
    ) -> Result<(), DirectoryError> {
        password::check(password.as_bytes())?;
        let phc = self.hasher().hash(password.as_bytes()).await?;
        let kind = ChangeKind::Ended(KickReason::PasswordChanged);
        self.change_user(app, user, Change::Password(phc), kind)
            .await
    }

    async fn change_user(
        &self,
        app: &AppKey,
        user: &Username,
        change: Change,
        kind: ChangeKind,
    ) -> Result<(), DirectoryError> {
        let entry = LogEntry {
            kind,
            app: app.clone(),
            user: Some(user.clone()),
            now: self.now(),
        };
        let change = ChangeUser {
            user: user.clone(),
            change,
            entry,
        };
        match store::write(self.database(), change).await? {
            Outcome::Done => {
                self.after_change(app, Some(user));
                Ok(())
            }
            Outcome::NoSuchApp => Err(DirectoryError::NoSuchApp(app.clone())),
            Outcome::NoSuchUser => Err(DirectoryError::NoSuchUser(user.clone())),
            Outcome::Exists => Err(DirectoryError::UserExists(user.clone())),
            Outcome::StillDeleting => Err(DirectoryError::StillDeleting(user.clone())),
        }
    }
}

enum Change {
    Add(String),
    Disable(bool),
    Password(String),
    Delete,
}

enum Outcome {
    Done,
    NoSuchApp,
    NoSuchUser,
    Exists,
    StillDeleting,
}

struct ChangeUser {
    user: Username,
    change: Change,
    entry: LogEntry,
}

#[async_trait]
impl Transaction for ChangeUser {
    type Output = Outcome;

    async fn run(&self, store: &mut dyn Store) -> Result<Outcome, sqlx::Error> {
        let LogEntry { app, now, .. } = &self.entry;
        let (user, now) = (&self.user, *now);
        if store.app(app).await?.is_none() {
            return Ok(Outcome::NoSuchApp);
        }
        let found = match &self.change {
            Change::Add(phc) => {
                // The streams forget by name: a namesake must not lose what is theirs.
                if store.is_forgetting(app, user).await? {
                    return Ok(Outcome::StillDeleting);
                }
                if !store.insert_user(app, user, phc, now).await? {
                    return Ok(Outcome::Exists);
                }
                true
            }
            Change::Disable(disabled) => {
                let found = store.set_disabled(app, user, *disabled).await?;
                if *disabled {
                    // Who is let in again proves the password again.
                    store.revoke_all(app, user, now).await?;
                }
                found
            }
            Change::Password(phc) => {
                let found = store.set_password(app, user, phc).await?;
                store.revoke_all(app, user, now).await?;
                found
            }
            Change::Delete => {
                let found = store.delete_user(app, user).await?;
                if found {
                    store.delete_owned(app, user).await?;
                    store.note_forget(app, Some(user), None).await?;
                }
                found
            }
        };
        if !found {
            return Ok(Outcome::NoSuchUser);
        }
        self.entry.write(store).await?;
        Ok(Outcome::Done)
    }
}
