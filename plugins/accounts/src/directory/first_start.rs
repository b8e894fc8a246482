//! What a new installation begins with.

use async_trait::async_trait;
use partyline_protocol::Secret;

use super::apps::{NewApp, prepare};
use super::{Directory, DirectoryError, LogEntry};
use crate::Registration;
use crate::secret::{self, SecretHash};
use crate::store::{self, App, ChangeKind, Store, Transaction};

const DEVELOPER: &str = "developer";
const DEMO_APP: &str = "demo";

/// A developer account as it was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Developer {
    /// Its name.
    pub name: String,
    /// What it logs in with; only its hash is kept.
    pub secret: Secret,
}

/// What the first start made. It is shown once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FirstStart {
    /// The developer account.
    pub developer: Developer,
    /// The demo app, in which any device may register.
    pub app: NewApp,
}

impl Directory {
    /// Makes the developer account and the demo app, both or none, once in the life of a database;
    /// `None` ever after.
    pub async fn first_start(&self) -> Result<Option<FirstStart>, DirectoryError> {
        let (app, new) = prepare(DEMO_APP, Registration::Open, self.now())?;
        let developer = Developer {
            name: DEVELOPER.to_owned(),
            secret: secret::new_master_secret(),
        };
        let entry = LogEntry {
            kind: ChangeKind::AppCreated,
            app: app.key.clone(),
            user: None,
            now: self.now(),
        };
        let begin = Begin {
            secret: SecretHash::of(developer.secret.expose()),
            app,
            entry,
        };
        let Some(name) = store::write(self.database(), begin).await? else {
            return Ok(None);
        };
        self.after_change(&new.app_key, None);
        Ok(Some(FirstStart {
            developer,
            app: NewApp { name, ..new },
        }))
    }
}

struct Begin {
    secret: SecretHash,
    app: App,
    entry: LogEntry,
}

#[async_trait]
impl Transaction for Begin {
    /// The name that the demo app got.
    type Output = Option<String>;

    async fn run(&self, store: &mut dyn Store) -> Result<Option<String>, sqlx::Error> {
        if !store
            .insert_developer(DEVELOPER, &self.secret, self.entry.now)
            .await?
        {
            return Ok(None);
        }
        let mut app = self.app.clone();
        if !store.insert_app(&app).await? {
            // The operator made an app of that name before.
            app.name = format!("{DEMO_APP}-{}", app.key);
            store.insert_app(&app).await?;
        }
        self.entry.write(store).await?;
        Ok(Some(app.name))
    }
}
