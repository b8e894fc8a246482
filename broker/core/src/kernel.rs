//! What every connection shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use partyline_plugin::protocol::AppKey;
use partyline_plugin::{Clock, Message, PublishError, Reason, SessionId, Tasks};
use tokio_util::sync::CancellationToken;

use crate::config::BrokerConfig;
use crate::plugins::HookTable;
use crate::router::AppSpace;
use crate::session::{Attachment, Registry, Stop};

/// The broker's shared state.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) config: BrokerConfig,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    /// Replaced as a whole, so that sessions opened earlier see it too.
    pub(crate) hooks: ArcSwap<HookTable>,
    /// Every app's own topic space, made when its first session comes.
    apps: DashMap<AppKey, Arc<AppSpace>>,
    /// The tasks of connections and of the commands they started.
    pub(crate) connections: Tasks,
    pub(crate) stopping: CancellationToken,
    pub(crate) open_connections: AtomicUsize,
    next_session: AtomicU64,
}

impl Kernel {
    pub(crate) fn new(config: BrokerConfig, clock: Clock) -> Self {
        let stopping = CancellationToken::new();
        Self {
            config,
            clock,
            registry: Registry::default(),
            hooks: ArcSwap::default(),
            apps: DashMap::new(),
            connections: Tasks::new(stopping.clone()),
            stopping,
            open_connections: AtomicUsize::new(0),
            next_session: AtomicU64::new(1),
        }
    }

    pub(crate) fn next_session_id(&self) -> SessionId {
        SessionId::new(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// The topic space of an app.
    pub(crate) fn space(&self, app: &AppKey) -> Arc<AppSpace> {
        if let Some(space) = self.apps.get(app) {
            return Arc::clone(&space);
        }
        let space = self
            .apps
            .entry(app.clone())
            .or_insert_with(|| Arc::new(AppSpace::new(&self.config.limits)));
        Arc::clone(&space)
    }

    /// Routes a plugin's message in its app. Returns when every target has it.
    pub(crate) async fn publish(&self, app: &AppKey, message: Message) -> Result<(), PublishError> {
        if message.topic.as_str().starts_with('$') {
            return Err(PublishError::ReservedTopic);
        }
        let space = self.space(app);
        let routed = space.publish(&self.config.limits, message, None).await;
        routed.map_err(|_| PublishError::RetainedFull)
    }

    /// Forgets an app: its connections end, its sessions and retained messages go.
    pub(crate) fn drop_app(&self, app: &AppKey) {
        let message = Some("the app was deleted".to_owned());
        for session in self.registry.sessions_of_app(app) {
            let stop = Stop::new(Reason::AdministrativeAction, message.clone()).without_will();
            self.registry.end(&session, stop);
        }
        self.apps.remove(app);
    }

    /// Refuses new connections and asks every open one to finish.
    pub(crate) fn begin_stop(&self) {
        self.stopping.cancel();
        for attachment in self.registry.attachments() {
            self.shut_down(&attachment);
        }
    }

    /// Asks a connection to finish, since the broker stops.
    pub(crate) fn shut_down(&self, attachment: &Attachment) {
        let stop = Stop::new(Reason::ServerShuttingDown, None).draining();
        let wills = self.config.mqtt.wills_on_stop;
        attachment
            .signal
            .stop(if wills { stop } else { stop.without_will() });
    }
}
