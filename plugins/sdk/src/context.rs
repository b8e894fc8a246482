//! What a plugin is given when it is built.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::database::Database;
use crate::services::Services;
use crate::{BrokerHandle, Clock, Meter, Tasks};

/// Everything a plugin can do, as handles. All are cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PluginContext {
    /// Deliveries, sessions, kicks.
    pub broker: BrokerHandle,
    /// The database, with its write queue.
    pub database: Database,
    /// What other plugins provide.
    pub services: Services,
    /// Background work.
    pub tasks: Tasks,
    /// Figures for `/metrics`. The host puts the plugin's own here; one that is not replaced is
    /// shown nowhere.
    pub meter: Meter,
    /// The wall clock.
    pub clock: Clock,
    /// Where files may be kept.
    pub data_dir: Arc<Path>,
    /// The longest that a connection takes to become a session: what is decided at CONNECT may
    /// take effect so much later.
    pub connect_timeout: Duration,
}

impl PluginContext {
    /// A context; made by the host and by test doubles.
    pub fn new(
        broker: BrokerHandle,
        database: Database,
        services: Services,
        tasks: Tasks,
        clock: Clock,
        data_dir: Arc<Path>,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            broker,
            database,
            services,
            tasks,
            meter: Meter::new("unnamed"),
            clock,
            data_dir,
            connect_timeout,
        }
    }
}
