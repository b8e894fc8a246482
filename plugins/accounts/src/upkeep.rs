//! What runs beside the connections: the change log, what streams are to forget, old rows.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use partyline_plugin::CancellationToken;
use partyline_plugin::services::{ServiceError, Streams};
use partyline_protocol::RegistrationId;
use tokio::time::Instant;

use crate::AccountsPlugin;
use crate::ending::RemoveDevices;
use crate::store::{self, Change, ChangeKind, Device, Forget, Store, Transaction};

/// Rows handled at once.
const PAGE: i64 = 500;
/// How long changes, revoked tokens and requests to kick are kept, milliseconds.
const KEEP: i64 = 24 * 3_600_000;

/// The newest change whose effects this process has carried out.
#[derive(Debug, Default)]
pub(crate) struct Position(AtomicI64);

impl Position {
    pub(crate) fn at(id: i64) -> Self {
        Self(AtomicI64::new(id))
    }
}

impl AccountsPlugin {
    pub(crate) async fn look_after(&self, stop: &CancellationToken) {
        let poll = Duration::from_millis(self.directory.config().changes.poll_ms.max(1));
        let mut next_sweep = Instant::now() + self.between_sweeps();
        let mut failing = false;
        while !stop.is_cancelled() {
            let result = self.round(&mut next_sweep).await;
            // Logged when it begins and when it ends, not each second in between.
            match &result {
                Err(error) if !failing => {
                    tracing::error!(?error, "account changes can't be read, trying again");
                }
                Ok(()) if failing => tracing::info!("account changes can be read again"),
                _ => {}
            }
            failing = result.is_err();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.directory.changed() => {}
                () = tokio::time::sleep(poll) => {}
            }
        }
    }

    async fn round(&self, next_sweep: &mut Instant) -> Result<(), UpkeepError> {
        self.follow_changes().await?;
        self.enforcer.look_again().await?;
        if Instant::now() >= *next_sweep {
            *next_sweep = Instant::now() + self.between_sweeps();
            self.write_seen().await?;
            self.sweep().await?;
        }
        self.forget().await
    }

    fn between_sweeps(&self) -> Duration {
        Duration::from_secs(self.directory.config().changes.sweep_seconds)
    }

    /// Carries out the effects of changes, of this process and of others.
    pub(crate) async fn follow_changes(&self) -> Result<(), sqlx::Error> {
        loop {
            let position = self.position.0.load(Ordering::Acquire);
            let mut store = store::read(self.directory.database()).await?;
            let changes = store.changes_after(position, PAGE).await?;
            drop(store);
            let more = i64::try_from(changes.len()).is_ok_and(|count| count == PAGE);
            for change in &changes {
                self.follow(change).await?;
                self.position.0.store(change.id, Ordering::Release);
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn follow(&self, change: &Change) -> Result<(), sqlx::Error> {
        let (app, user) = (&change.app, change.user.0.as_ref());
        self.directory.cache().invalidate(app, user);
        match (change.kind, user) {
            (ChangeKind::Ended(reason), Some(user)) => {
                self.enforcer.user_changed(app, user, reason).await
            }
            (ChangeKind::MasterSecret, _) => self.enforcer.master_changed(app).await,
            (ChangeKind::AppDeleted, _) => self.enforcer.app_deleted(app).await,
            _ => Ok(()),
        }
    }

    /// Tells the streams what is gone. An entry stays until they have taken it, and keeps no other
    /// waiting; the first error is returned.
    pub(crate) async fn forget(&self) -> Result<(), UpkeepError> {
        let forgettable = store::read(self.directory.database())
            .await?
            .forgettable(PAGE)
            .await?;
        let mut result = Ok(());
        for what in forgettable {
            result = result.and(self.forget_one(what).await);
        }
        result
    }

    async fn forget_one(&self, what: Forget) -> Result<(), UpkeepError> {
        if let Ok(streams) = self.services.get::<dyn Streams>() {
            tell(&*streams, &what).await?;
        }
        Ok(store::write(self.directory.database(), Forgotten(what)).await?)
    }

    pub(crate) async fn write_seen(&self) -> Result<(), sqlx::Error> {
        for seen in self.seen.take() {
            store::write(self.directory.database(), seen).await?;
        }
        Ok(())
    }

    /// Removes devices that never came back, and rows that nobody asks for any more.
    pub(crate) async fn sweep(&self) -> Result<(), sqlx::Error> {
        let (database, now) = (self.directory.database(), self.directory.now());
        self.issued.prune(&self.broker, now, self.connecting);
        let config = self.directory.config();
        let before = now.saturating_sub(config.devices.passing_ms());
        let stale = store::read(database)
            .await?
            .stale_devices(before, PAGE)
            .await?;
        let (online, gone): (Vec<Device>, Vec<Device>) = stale
            .into_iter()
            .partition(|device| self.broker.session_of(&device.key()).is_some());
        for device in online {
            self.seen.note(&device.registration, now);
        }
        if !gone.is_empty() {
            tracing::debug!(
                devices = gone.len(),
                "devices that never came back are removed"
            );
            store::write(database, RemoveDevices(gone)).await?;
        }
        self.write_seen().await?;
        let keep = KEEP.max(config.ban.longest_ms().saturating_mul(2));
        let purge = Purge {
            before: now.saturating_sub(keep),
            kicks_before: now.saturating_sub(KEEP),
        };
        store::write(database, purge).await
    }
}

/// Why a round of upkeep stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("the streams could not forget")]
    Streams(#[from] ServiceError),
}

async fn tell(streams: &dyn Streams, what: &Forget) -> Result<(), ServiceError> {
    let Some(user) = &what.user.0 else {
        return streams.forget_app(&what.app).await;
    };
    match RegistrationId::parse(&what.registration) {
        Ok(device) => streams.forget_device(&what.app, user, &device).await,
        // Empty: not one device but the user.
        Err(_) => streams.forget_user(&what.app, user).await,
    }
}

struct Forgotten(Forget);

#[async_trait::async_trait]
impl Transaction for Forgotten {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        store.forgotten(&self.0).await
    }
}

struct Purge {
    before: i64,
    kicks_before: i64,
}

#[async_trait::async_trait]
impl Transaction for Purge {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        store.purge_changes(self.before).await?;
        store.purge_logins(self.before).await?;
        store.purge_kicks(self.kicks_before).await
    }
}
