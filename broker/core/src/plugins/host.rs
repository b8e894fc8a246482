//! The life of plugins.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use figment::Figment;
use futures_util::FutureExt;
use partyline_plugin::database::Database;
use partyline_plugin::host::{Broker, DynPlugin, PluginFactory, Registrations};
use partyline_plugin::services::Services;
use partyline_plugin::{BrokerHandle, CancellationToken, Meter, PluginContext, Registrar, Tasks};
use tokio::time::Instant;

use super::events::Observing;
use super::guard::Guarded;
use super::reload::{ReloadError, ReloadOutcome, Tables};
use super::{HealthCheck, HookTable, namespaces};
use crate::kernel::Kernel;
use crate::sys::Sys;

/// How long a plugin that failed rests before it is started again; doubles up to a minute.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_mins(1);

/// Why the plugins could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Two plugins have one id.
    #[error("two plugins are called `{0}`")]
    Twice(&'static str),
    /// An id that names of tables and metrics cannot be made of.
    #[error(
        "a plugin cannot be called `{0}`: an id has at most 40 characters, a to z, 0 to 9 and -, \
         and begins with a letter"
    )]
    Id(&'static str),
    /// Its tables could not be brought up to date.
    #[error("the tables of plugin `{plugin}` could not be brought up to date")]
    Migrate {
        /// Which.
        plugin: &'static str,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// It could not be built, often for its configuration.
    #[error("plugin `{plugin}` failed to start")]
    Build {
        /// Which.
        plugin: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its namespaces.
    #[error("plugin `{plugin}` cannot have its topics: {why}")]
    Namespace {
        /// Which.
        plugin: String,
        /// Why.
        why: String,
    },
    /// Its HTTP routes.
    #[error("plugin `{plugin}` cannot have its HTTP routes: {why}")]
    Routes {
        /// Which.
        plugin: &'static str,
        /// Why.
        why: String,
    },
    /// A service that it needs.
    #[error("plugin `{plugin}` needs {service}, which no plugin provides")]
    MissingService {
        /// Which.
        plugin: &'static str,
        /// The service's type.
        service: &'static str,
    },
}

impl HostError {
    pub(super) fn namespace(plugin: &str, why: String) -> Self {
        Self::Namespace {
            plugin: plugin.to_owned(),
            why,
        }
    }
}

pub(super) struct Hosted {
    pub(super) id: &'static str,
    pub(super) plugin: Arc<dyn DynPlugin>,
    tasks: Tasks,
    meter: Meter,
}

pub(crate) struct Host {
    kernel: Arc<Kernel>,
    database: Database,
    data_dir: Arc<Path>,
    services: Services,
    hosted: Vec<Hosted>,
    /// Observers that are still to be started.
    observing: Vec<Observing>,
    tables: Tables,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.hosted.iter().map(|hosted| hosted.id))
            .finish()
    }
}

impl Host {
    pub(crate) fn new(kernel: Arc<Kernel>, database: Database, data_dir: Arc<Path>) -> Self {
        Self {
            kernel,
            database,
            data_dir,
            services: Services::default(),
            hosted: Vec::new(),
            observing: Vec::new(),
            tables: Tables::default(),
        }
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The figures of every plugin.
    pub(crate) fn meters(&self) -> Arc<[Meter]> {
        self.hosted.iter().map(|one| one.meter.clone()).collect()
    }

    /// The routes of every plugin that has any.
    pub(crate) fn routes(&self) -> Result<Vec<(&'static str, Router)>, HostError> {
        let mut all = Vec::new();
        for Hosted { id, plugin, .. } in &self.hosted {
            let making = AssertUnwindSafe(|| Arc::clone(plugin).routes());
            // The library panics where a path is wrong or two routes are one.
            let routes = std::panic::catch_unwind(making).map_err(|_| HostError::Routes {
                plugin: id,
                why: "it panicked as it made them".to_owned(),
            })?;
            if routes.has_routes() {
                all.push((*id, routes));
            }
        }
        Ok(all)
    }

    pub(crate) fn health(&self) -> HealthCheck {
        let plugins = self
            .hosted
            .iter()
            .map(|one| (one.id, Arc::clone(&one.plugin)));
        HealthCheck::new(self.database.clone(), plugins)
    }

    /// Migrates, builds and registers, in order, and puts the hook table in force.
    pub(crate) async fn build(
        &mut self,
        factories: Vec<PluginFactory>,
        figment: &Figment,
    ) -> Result<(), HostError> {
        let broker: Arc<dyn Broker> = self.kernel.clone();
        let broker = BrokerHandle::new(broker);
        for factory in factories {
            let plugin = factory.id;
            if !namespaces::is_id(plugin) {
                return Err(HostError::Id(plugin));
            }
            if self.hosted.iter().any(|hosted| hosted.id == plugin) {
                return Err(HostError::Twice(plugin));
            }
            if let Some(migrations) = factory.migrations {
                let migrated = self.database.migrate(plugin, migrations).await;
                migrated.map_err(|source| HostError::Migrate { plugin, source })?;
            }
            let tasks = Tasks::new(CancellationToken::new());
            let meter = Meter::new(plugin);
            let mut context = PluginContext::new(
                broker.clone().of_plugin(plugin),
                self.database.clone(),
                self.services.clone(),
                tasks.clone(),
                self.kernel.clock.clone(),
                Arc::clone(&self.data_dir),
                Duration::from_secs(self.kernel.config.mqtt.connect_timeout.into()),
            );
            context.meter = meter.clone();
            let built = factory.build(context, figment.clone()).await;
            let built = built.map_err(|source| HostError::Build {
                plugin,
                source: source.into(),
            })?;
            self.hosted.push(Hosted {
                id: plugin,
                plugin: built,
                tasks,
                meter,
            });
        }
        self.tables = Tables::new(figment, &self.hosted);
        let mut declared = Vec::new();
        for hosted in &self.hosted {
            let mut registrar = Registrar::new(hosted.id, self.services.clone());
            Arc::clone(&hosted.plugin).register(&mut registrar);
            declared.push((hosted.id, registrar.finish()));
        }
        let (sys, topics) = Sys::declare(&self.kernel, &self.services);
        declared.push(("$SYS", topics));
        namespaces::check(&declared)?;
        for (plugin, declared) in &declared {
            let missing = declared
                .requires
                .iter()
                .find(|(key, _)| !self.services.has(*key));
            if let Some((_, service)) = missing {
                return Err(HostError::MissingService { plugin, service });
            }
        }
        self.watch(&mut declared);
        let table = HookTable::new(declared).with_limits(self.kernel.config.limits.topic());
        self.kernel.hooks.store(Arc::new(table));
        sys.run(&self.kernel);
        let chain = self.kernel.describe().summary();
        tracing::info!(chain, "plugins registered");
        Ok(())
    }

    /// Hands a new configuration to the plugins whose tables changed.
    pub(crate) async fn reload(
        &self,
        figment: &Figment,
    ) -> Result<Vec<(&'static str, ReloadOutcome)>, ReloadError> {
        self.tables.reload(figment, &self.hosted).await
    }

    /// Takes up what is not asked by the packets of one connection: observers and deliver filters.
    fn watch(&mut self, declared: &mut [(&'static str, Registrations)]) {
        let (mut observers, mut deliver) = (Vec::new(), Vec::new());
        for (plugin, declared) in declared {
            let entries = std::mem::take(&mut declared.observers);
            observers.extend(entries.into_iter().map(|entry| (*plugin, entry)));
            let entries = std::mem::take(&mut declared.deliver_filters).into_iter();
            deliver.extend(entries.map(|(scope, entry)| (scope, Guarded::new(plugin, entry))));
        }
        self.observing = self.kernel.events.register(observers);
        self.kernel.deliver.register(deliver);
    }

    /// Starts the observers and each plugin's long-running work; what fails is started again after a rest.
    pub(crate) fn run(&mut self) {
        for observing in self.observing.drain(..) {
            let mut hosted = self.hosted.iter();
            if let Some(Hosted { tasks, .. }) = hosted.find(|one| one.id == observing.plugin) {
                tasks.spawn(observing.run(tasks.stopping().clone()));
            }
        }
        for Hosted {
            id, plugin, tasks, ..
        } in &self.hosted
        {
            let (id, plugin, stop) = (*id, Arc::clone(plugin), tasks.stopping().clone());
            tasks.spawn(keep_running(id, plugin, stop));
        }
    }

    /// Stops the plugins in reverse order and closes the database, each step within `grace`. A
    /// plugin flushes once its work has ended, so that nothing comes after; and it flushes even if
    /// its work would not end.
    pub(crate) async fn stop(&mut self, grace: Duration) {
        while let Some(one) = self.hosted.pop() {
            let Hosted {
                id, plugin, tasks, ..
            } = one;
            tasks.stopping().cancel();
            if tokio::time::timeout(grace, tasks.finished()).await.is_err() {
                tracing::warn!(plugin = id, "the plugin's work did not end in time");
            }
            let flushing = AssertUnwindSafe(plugin.stop()).catch_unwind();
            match tokio::time::timeout(grace, flushing).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => {
                    let error = format!("{error:#}");
                    tracing::error!(plugin = id, error, "the plugin did not stop cleanly");
                }
                Ok(Err(_)) => tracing::error!(plugin = id, "the plugin panicked as it stopped"),
                Err(_) => tracing::warn!(plugin = id, "the plugin did not stop in time"),
            }
        }
        if tokio::time::timeout(grace, self.database.close())
            .await
            .is_err()
        {
            tracing::warn!("the database did not close in time");
        }
    }
}

async fn keep_running(id: &'static str, plugin: Arc<dyn DynPlugin>, stop: CancellationToken) {
    let mut rest = FIRST_REST;
    loop {
        let began = Instant::now();
        let run = AssertUnwindSafe(Arc::clone(&plugin).run(stop.clone()));
        match run.catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(
                plugin = id,
                error = format!("{error:#}"),
                "the plugin failed"
            ),
            Err(_) => tracing::error!(plugin = id, "the plugin panicked"),
        }
        if began.elapsed() > LONGEST_REST {
            // It worked for a while: this is a new trouble, not the old one.
            rest = FIRST_REST;
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(rest))
            .await
            .is_none()
        {
            return;
        }
        rest = LONGEST_REST.min(rest * 2);
    }
}
