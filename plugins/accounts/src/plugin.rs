//! The plugin: its parts, and what it registers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use partyline_plugin::database::Migrations;
use partyline_plugin::services::{Accounts, Services};
use partyline_plugin::{
    Audience, Authenticate, BrokerHandle, CancellationToken, Outlet, Plugin, PluginContext, Qos,
    Registrar, Tasks,
};
use partyline_protocol::{AppKey, names};

use crate::buckets::Buckets;
use crate::directory::Directory;
use crate::enforcer::Enforcer;
use crate::failures::Failures;
use crate::issued::IssuedSecrets;
use crate::notice::Notices;
use crate::outlet::SessionOutlet;
use crate::seen::Seen;
use crate::turns::Turns;
use crate::upkeep::Position;
use crate::{Config, commands, store};

/// How much later than its time limit a CONNECT may be seen as a session.
const LATENESS: Duration = Duration::from_secs(5);

/// Keeps apps, users and devices, and decides who a connection is.
pub struct AccountsPlugin {
    pub(crate) broker: BrokerHandle,
    pub(crate) services: Services,
    pub(crate) directory: Directory,
    pub(crate) failures: Failures,
    /// First contacts of each address.
    pub(crate) contacts: Buckets,
    pub(crate) notices: Notices,
    pub(crate) issued: Arc<IssuedSecrets>,
    pub(crate) enforcer: Enforcer,
    pub(crate) seen: Seen,
    pub(crate) turns: Turns,
    pub(crate) position: Position,
    /// How long a CONNECT may take to become a session, milliseconds.
    pub(crate) connecting: i64,
    tasks: Tasks,
}

impl std::fmt::Debug for AccountsPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountsPlugin")
    }
}

/// What an app left that was deleted while no broker ran goes now.
async fn drop_deleted(broker: &BrokerHandle, directory: &Directory) -> anyhow::Result<()> {
    let kept = broker.apps();
    if kept.is_empty() {
        return Ok(());
    }
    let apps = directory.apps().await?;
    let apps: HashSet<AppKey> = apps.into_iter().map(|app| app.app_key).collect();
    for app in kept.iter().filter(|app| !apps.contains(*app)) {
        tracing::info!(%app, "the app was deleted meanwhile, and its sessions go");
        broker.drop_app(app);
    }
    Ok(())
}

#[async_trait]
impl Plugin for AccountsPlugin {
    const ID: &'static str = "accounts";

    type Config = Config;

    fn migrations() -> Option<Migrations> {
        Some(store::MIGRATIONS)
    }

    async fn build(cx: PluginContext, config: Config) -> anyhow::Result<Self> {
        let PluginContext {
            broker,
            database,
            services,
            tasks,
            clock,
            connect_timeout,
            ..
        } = cx;
        let connecting =
            i64::try_from((connect_timeout + LATENESS).as_millis()).unwrap_or(i64::MAX);
        let failures = Failures::new(&config.failures);
        let contacts = Buckets::new(
            config.devices.contact_burst,
            config.devices.contact_seconds,
            config.failures.buckets,
        );
        let directory =
            Directory::with_tasks(database.clone(), clock.clone(), config, tasks.clone())?;
        let notices = Notices::new(services.clone(), clock)?;
        let enforcer = Enforcer::new(
            broker.clone(),
            directory.clone(),
            notices.clone(),
            connecting,
        );
        drop_deleted(&broker, &directory).await?;
        // Read before there are connections: what changed earlier concerns none of them.
        let position = Position::at(store::read(&database).await?.newest_change().await?);
        let (issued, seen, turns) = (Arc::default(), Seen::default(), Turns::new());
        Ok(Self {
            broker,
            services,
            directory,
            failures,
            contacts,
            notices,
            issued,
            enforcer,
            seen,
            turns,
            position,
            connecting,
            tasks,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let outlet: Arc<dyn Outlet> = Arc::new(SessionOutlet {
            broker: self.broker.clone(),
            tasks: self.tasks.clone(),
            notices: self.notices.clone(),
            issued: Arc::clone(&self.issued),
        });
        let directory = Arc::new(self.directory.clone());
        registrar
            .owns(names::SESSION)
            .owns("$im/session/")
            .delegates(names::SESSION_CONFIGURE, "im")
            .outlet(
                names::SESSION,
                Qos::AtMostOnce,
                Audience::Devices,
                Some(outlet),
            )
            .authenticate(Arc::clone(self) as Arc<dyn Authenticate>)
            .provides::<dyn Accounts>(Arc::clone(&directory) as Arc<dyn Accounts>)
            .provides::<Directory>(directory);
        commands::register(self, registrar);
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        self.look_after(&stop).await;
        Ok(())
    }

    async fn stop(&self) -> anyhow::Result<()> {
        self.write_seen().await?;
        Ok(())
    }
}
