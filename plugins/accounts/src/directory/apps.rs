//! Apps.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_protocol::{AppKey, Secret};

use super::{Directory, DirectoryError, LogEntry};
use crate::Registration;
use crate::secret::{self, SecretHash};
use crate::store::{self, App, ChangeKind, Store, Transaction};

/// Greatest length of an app's name, in characters.
const MAX_NAME: usize = 64;

/// An app as it was made, with what is never shown again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewApp {
    /// The public key.
    pub app_key: AppKey,
    /// What its servers log in with; only its hash is kept.
    pub master_secret: Secret,
    /// Its name.
    pub name: String,
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppInfo {
    /// The public key.
    pub app_key: AppKey,
    /// Its name.
    pub name: String,
    /// Who may register devices.
    pub registration: Registration,
    /// When it was made, milliseconds since 1970.
    pub created_at: i64,
}

impl Directory {
    /// Makes an app. The name is the developer's own and unique.
    pub async fn create_app(&self, name: &str) -> Result<NewApp, DirectoryError> {
        let registration = self.config().devices.new_app_registration;
        let (app, new) = prepare(name, registration, self.now())?;
        let entry = self.entry(ChangeKind::AppCreated, &app.key);
        if !store::write(self.database(), CreateApp { app, entry }).await? {
            return Err(DirectoryError::AppExists(new.name));
        }
        self.after_change(&new.app_key, None);
        Ok(new)
    }

    /// All apps, oldest first.
    pub async fn apps(&self) -> Result<Vec<AppInfo>, DirectoryError> {
        let apps = store::read(self.database()).await?.apps().await?;
        let info = |app: App| AppInfo {
            app_key: app.key,
            name: app.name,
            registration: app.registration,
            created_at: app.created_at,
        };
        Ok(apps.into_iter().map(info).collect())
    }

    /// Gives the app a new master secret; servers that are connected with the old one are kicked.
    pub async fn rotate_secret(&self, app: &AppKey) -> Result<Secret, DirectoryError> {
        let master = secret::new_master_secret();
        let change = Change::Master(SecretHash::of(master.expose()));
        self.change_app(app, change, ChangeKind::MasterSecret)
            .await?;
        Ok(master)
    }

    /// Says who may register devices. [`Registration::Token`] returns a new registration token;
    /// an older one no longer counts.
    pub async fn set_registration(
        &self,
        app: &AppKey,
        registration: Registration,
    ) -> Result<Option<Secret>, DirectoryError> {
        let token = matches!(registration, Registration::Token);
        let token = token.then(secret::new_registration_token);
        let hash = token.as_ref().map(|token| SecretHash::of(token.expose()));
        let change = Change::Registration(registration, hash);
        self.change_app(app, change, ChangeKind::Registration)
            .await?;
        Ok(token)
    }

    /// Whether this is the app's master secret.
    pub async fn verify_master(&self, app: &AppKey, secret: &str) -> Result<bool, DirectoryError> {
        Ok(self
            .app(app)
            .await?
            .is_some_and(|app| app.master.matches(secret)))
    }

    /// Deletes the app with its users and devices; connections are ended, streams dropped.
    pub async fn delete_app(&self, app: &AppKey) -> Result<(), DirectoryError> {
        self.change_app(app, Change::Delete, ChangeKind::AppDeleted)
            .await
    }

    /// The app, from memory if it is there.
    pub(crate) async fn app(&self, key: &AppKey) -> Result<Option<Arc<App>>, sqlx::Error> {
        if let Some(app) = self.cache().app(key) {
            return Ok(Some(app));
        }
        let from = self.cache().before_read();
        let app = store::read(self.database())
            .await?
            .app(key)
            .await?
            .map(Arc::new);
        if let Some(app) = &app {
            self.cache().keep_app(from, app);
        }
        Ok(app)
    }

    async fn change_app(
        &self,
        app: &AppKey,
        change: Change,
        kind: ChangeKind,
    ) -> Result<(), DirectoryError> {
        let entry = self.entry(kind, app);
        if !store::write(self.database(), ChangeApp { change, entry }).await? {
            return Err(DirectoryError::NoSuchApp(app.clone()));
        }
        self.after_change(app, None);
        Ok(())
    }

    fn entry(&self, kind: ChangeKind, app: &AppKey) -> LogEntry {
        LogEntry {
            kind,
            app: app.clone(),
            user: None,
            now: self.now(),
        }
    }
}

/// Makes key and secrets of an app.
pub(super) fn prepare(
    name: &str,
    registration: Registration,
    now: i64,
) -> Result<(App, NewApp), DirectoryError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
        return Err(DirectoryError::AppName);
    }
    let new = NewApp {
        app_key: secret::new_app_key()?,
        master_secret: secret::new_master_secret(),
        name: name.to_owned(),
    };
    let app = App {
        key: new.app_key.clone(),
        name: new.name.clone(),
        master: SecretHash::of(new.master_secret.expose()),
        registration,
        registration_token: None,
        created_at: now,
    };
    Ok((app, new))
}

struct CreateApp {
    app: App,
    entry: LogEntry,
}

#[async_trait]
impl Transaction for CreateApp {
    type Output = bool;

    async fn run(&self, store: &mut dyn Store) -> Result<bool, sqlx::Error> {
        let created = store.insert_app(&self.app).await?;
        if created {
            self.entry.write(store).await?;
        }
        Ok(created)
    }
}

enum Change {
    Master(SecretHash),
    Registration(Registration, Option<SecretHash>),
    Delete,
}

struct ChangeApp {
    change: Change,
    entry: LogEntry,
}

#[async_trait]
impl Transaction for ChangeApp {
    type Output = bool;

    async fn run(&self, store: &mut dyn Store) -> Result<bool, sqlx::Error> {
        let app = &self.entry.app;
        let found = match &self.change {
            Change::Master(hash) => store.set_master(app, hash).await?,
            Change::Registration(policy, token) => {
                store.set_registration(app, *policy, token.as_ref()).await?
            }
            Change::Delete => store.delete_app(app).await?,
        };
        if found {
            if matches!(self.change, Change::Delete) {
                store.note_forget(app, None, None).await?;
            }
            self.entry.write(store).await?;
        }
        Ok(found)
    }
}
