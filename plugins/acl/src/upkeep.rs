//! What runs beside the connections: changed rules are taken up, those of apps that are gone go.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use partyline_plugin::services::{Accounts, ServiceError};
use partyline_protocol::AppKey;
use tokio::time::Instant;

use crate::AppRules;
use crate::app_rules::{compile, parse};
use crate::plugin::Acl;
use crate::rulebook::Rulebook;
use crate::rules::Rules;
use crate::store::{self, Changed};

/// Rows handled at once.
const PAGE: i64 = 100;
/// How often rules of apps that are gone are looked for.
const BETWEEN_SWEEPS: Duration = Duration::from_hours(1);

/// The newest change that this process has taken up.
#[derive(Debug, Default)]
pub(crate) struct Position(AtomicI64);

impl Position {
    /// Takes up some of the changes that came after it; gives the apps that they are about, `None`
    /// if there are no more.
    pub(crate) async fn take_up(
        &self,
        rules: &AppRules,
        book: &Rulebook,
    ) -> Result<Option<Vec<AppKey>>, sqlx::Error> {
        let position = self.0.load(Ordering::Acquire);
        let changes = store::changed_after(rules.database(), position, PAGE).await?;
        let Some(newest) = changes.last().map(|change| change.number) else {
            return Ok(None);
        };
        let read: Vec<(AppKey, Rules)> = changes.iter().filter_map(read).collect();
        let apps = read.iter().map(|(app, _)| app.clone()).collect();
        book.set_apps(read);
        self.0.store(newest, Ordering::Release);
        Ok(Some(apps))
    }
}

/// An app's rules, ready for use. Rules that cannot be read allow nothing.
fn read(change: &Changed) -> Option<(AppKey, Rules)> {
    let app = AppKey::parse(&change.app_key).ok()?;
    let rules = match parse(&change.rules) {
        Ok(rules) => compile(rules).map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    let rules = rules.unwrap_or_else(|error| {
        tracing::error!(%app, ?error, "the app's rules cannot be used, nothing is allowed in it");
        Rules::closed()
    });
    Some((app, rules))
}

impl Acl {
    /// Follows the changes, for ever.
    pub(crate) async fn look_after(&self) {
        let mut next_sweep = Instant::now();
        let mut failing = false;
        loop {
            let result = self.round(&mut next_sweep).await;
            // Logged when it begins and when it ends, not each second in between.
            match &result {
                Err(error) if !failing => {
                    tracing::error!(?error, "changed rules can't be read, trying again");
                }
                Ok(()) if failing => tracing::info!("changed rules can be read again"),
                _ => {}
            }
            failing = result.is_err();
            let poll = Duration::from_millis(self.poll_ms.load(Ordering::Relaxed).max(1));
            tokio::select! {
                () = self.app_rules.changed() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }

    async fn round(&self, next_sweep: &mut Instant) -> Result<(), ServiceError> {
        self.follow_changes().await?;
        if Instant::now() >= *next_sweep {
            *next_sweep = Instant::now() + BETWEEN_SWEEPS;
            self.forget_gone_apps().await?;
        }
        Ok(())
    }

    /// Takes up what changed, and has saved subscriptions checked again.
    pub(crate) async fn follow_changes(&self) -> Result<(), sqlx::Error> {
        while let Some(apps) = self.position.take_up(&self.app_rules, &self.book).await? {
            for app in apps {
                tracing::info!(%app, "the app's rules have changed");
                self.broker.access_changed(Some(&app)).await;
            }
        }
        Ok(())
    }

    /// Forgets the rules of apps that were deleted.
    pub(crate) async fn forget_gone_apps(&self) -> Result<(), ServiceError> {
        let Ok(accounts) = self.services.get::<dyn Accounts>() else {
            return Ok(());
        };
        let database = self.app_rules.database();
        let mut last = String::new();
        loop {
            let page = store::apps_after(database, &last, PAGE).await?;
            let Some(newest) = page.last() else {
                return Ok(());
            };
            last.clone_from(newest);
            for app in page.iter().filter_map(|app| AppKey::parse(app).ok()) {
                if !accounts.app_exists(&app).await? {
                    database.write(store::Forget(app.clone())).await?;
                    self.book.set_apps([(app, Rules::default())]);
                }
            }
        }
    }
}
