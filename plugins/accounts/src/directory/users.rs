//! Users.

use async_trait::async_trait;
use partyline_protocol::{AppKey, KickReason, Secret, Username};

use super::{Directory, DirectoryError, LogEntry};
use crate::store::{self, ChangeKind, Store, Transaction};
use crate::{password, secret};

impl Directory {
    /// Adds a user. Without a password one is made, which is returned and not kept.
    pub async fn add_user(
        &self,
        app: &AppKey,
        user: &Username,
        password: Option<&str>,
    ) -> Result<Option<Secret>, DirectoryError> {
        let (phc, made) = self.hash_or_make(password).await?;
        self.change_user(app, user, Change::Add(phc), ChangeKind::UserCreated)
            .await?;
        Ok(made)
    }

    /// Keeps a user from logging in, ends their connections and revokes their tokens.
    pub async fn disable_user(&self, app: &AppKey, user: &Username) -> Result<(), DirectoryError> {
        let kind = ChangeKind::Ended(KickReason::Disabled);
        self.change_user(app, user, Change::Disable, kind).await
    }

    /// Lets a disabled user log in again, by the password.
    pub async fn enable_user(&self, app: &AppKey, user: &Username) -> Result<(), DirectoryError> {
        self.change_user(app, user, Change::Enable, ChangeKind::UserEnabled)
            .await
    }

    /// Deletes a user with tokens, devices and stream.
    pub async fn delete_user(&self, app: &AppKey, user: &Username) -> Result<(), DirectoryError> {
        let kind = ChangeKind::Ended(KickReason::Deleted);
        self.change_user(app, user, Change::Delete, kind).await
    }

    /// Sets a new password: all tokens are revoked, all connections of the user ended. Without a
    /// password one is made, which is returned and not kept.
    pub async fn set_password(
        &self,
        app: &AppKey,
        user: &Username,
        password: Option<&str>,
    ) -> Result<Option<Secret>, DirectoryError> {
        let (phc, made) = self.hash_or_make(password).await?;
        let kind = ChangeKind::Ended(KickReason::PasswordChanged);
        self.change_user(app, user, Change::Password(phc), kind)
            .await?;
        Ok(made)
    }

    /// The hash of the password, or of one that is made, and that one.
    async fn hash_or_make(
        &self,
        password: Option<&str>,
    ) -> Result<(String, Option<Secret>), DirectoryError> {
        let made = password.is_none().then(secret::new_password);
        let chosen = password.or(made.as_ref().map(Secret::expose));
        let chosen = chosen.unwrap_or_default().as_bytes();
        password::check(chosen)?;
        Ok((self.hasher().hash(chosen).await?, made))
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
    Disable,
    Enable,
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
            Change::Disable => {
                let found = store.set_disabled(app, user, true).await?;
                // Who is let in again proves the password again.
                store.revoke_all(app, user, now).await?;
                found
            }
            Change::Enable => store.set_disabled(app, user, false).await?,
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
