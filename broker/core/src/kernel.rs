//! What every connection shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use dashmap::DashMap;
use partyline_plugin::protocol::AppKey;
use partyline_plugin::{Clock, Message, PublishError, Reason, SessionId, Tasks};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::config::BrokerConfig;
use crate::metrics::Metrics;
use crate::plugins::{ChainDescription, DeliverFilters, Events, HookTable};
use crate::router::AppSpace;
use crate::session::{Attachment, Registry, Session, Stop};

/// The broker's shared state.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) config: BrokerConfig,
    pub(crate) clock: Clock,
    pub(crate) registry: Registry,
    /// Replaced as a whole, so that sessions opened earlier see it too.
    pub(crate) hooks: ArcSwap<HookTable>,
    pub(crate) events: Arc<Events>,
    pub(crate) deliver: Arc<DeliverFilters>,
    /// Every app's own topic space, made when its first session comes.
    apps: DashMap<AppKey, Arc<AppSpace>>,
    /// The tasks of connections and of the commands they started.
    pub(crate) connections: Tasks,
    pub(crate) stopping: CancellationToken,
    /// The tasks of open sockets, by a number of their own, to be cut when the grace time of a
    /// stop is over.
    sockets: DashMap<u64, Option<AbortHandle>>,
    next_socket: AtomicU64,
    pub(crate) open_connections: AtomicUsize,
    pub(crate) metrics: Metrics,
    next_session: AtomicU64,
    /// How many apps were dropped.
    apps_dropped: AtomicU64,
    /// How often the answers of access hooks have changed.
    access: AtomicU64,
}

impl Kernel {
    pub(crate) fn new(config: BrokerConfig, clock: Clock) -> Self {
        let stopping = CancellationToken::new();
        Self {
            config,
            clock,
            registry: Registry::default(),
            hooks: ArcSwap::default(),
            events: Arc::default(),
            deliver: Arc::default(),
            apps: DashMap::new(),
            connections: Tasks::new(stopping.clone()),
            stopping,
            sockets: DashMap::new(),
            next_socket: AtomicU64::new(0),
            open_connections: AtomicUsize::new(0),
            metrics: Metrics::default(),
            next_session: AtomicU64::new(1),
            apps_dropped: AtomicU64::new(0),
            access: AtomicU64::new(0),
        }
    }

    /// What packets meet, and how it fares.
    pub(crate) fn describe(&self) -> ChainDescription {
        let mut chain = self.hooks.load().describe();
        chain.hooks.extend(self.deliver.describe());
        chain.observers = self.events.describe();
        chain
    }

    pub(crate) fn next_session_id(&self) -> SessionId {
        SessionId::new(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// The topic space of an app.
    pub(crate) fn space(&self, app: &AppKey) -> Arc<AppSpace> {
        if let Some(space) = self.apps.get(app) {
            return Arc::clone(&space);
        }
        let space = self.apps.entry(app.clone()).or_insert_with(|| {
            let space = AppSpace::new(&self.config.limits);
            Arc::new(space.watched(&self.events, &self.deliver))
        });
        Arc::clone(&space)
    }

    /// The topic spaces of all apps.
    pub(crate) fn spaces(&self) -> Vec<Arc<AppSpace>> {
        self.apps.iter().map(|space| Arc::clone(&space)).collect()
    }

    /// Routes a plugin's message in its app. Returns when every target has it.
    pub(crate) async fn publish(
        &self,
        app: &AppKey,
        mut message: Message,
    ) -> Result<(), PublishError> {
        if message.topic.as_str().starts_with('$') {
            return Err(PublishError::ReservedTopic);
        }
        if message.retain {
            // What is kept for long must not pin a larger buffer of the plugin.
            message.payload = Bytes::copy_from_slice(&message.payload);
        }
        let (space, told) = (self.space(app), self.events.about(app, &message));
        let routed = space.publish(&self.config.limits, message, None).await;
        routed.map_err(|_| PublishError::RetainedFull)?;
        self.events.published(None, told);
        Ok(())
    }

    /// Forgets an app: its connections end, its sessions and retained messages go.
    ///
    /// A CONNECT in progress was let in before: it sees that an app was dropped since, or it has
    /// the space that is closed here, or its session is found here.
    pub(crate) fn drop_app(&self, app: &AppKey) {
        self.apps_dropped.fetch_add(1, Ordering::SeqCst);
        {
            let mut past = self.metrics.past.lock();
            if let Some((_, space)) = self.apps.remove(app) {
                space.close();
                *past += space.traffic.totals();
            }
        }
        for session in self.registry.sessions(Some(app)) {
            self.end_of_app(&session);
        }
    }

    /// Ends a session whose app is gone.
    pub(crate) fn end_of_app(&self, session: &Arc<Session>) {
        let message = Some("the app was deleted".to_owned());
        let stop = Stop::new(Reason::AdministrativeAction, message).without_will();
        self.registry.end(session, stop);
    }

    /// Tells whether an app was dropped meanwhile.
    pub(crate) fn apps_dropped(&self) -> u64 {
        self.apps_dropped.load(Ordering::SeqCst)
    }

    /// Tells whether the answers of access hooks may have changed meanwhile.
    pub(crate) fn access(&self) -> u64 {
        self.access.load(Ordering::SeqCst)
    }

    /// What was asked before is not to be relied on any more.
    pub(crate) fn ask_access_anew(&self) {
        self.access.fetch_add(1, Ordering::SeqCst);
    }

    /// Serves a socket, at the longest until it is cut.
    pub(crate) fn spawn_socket(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let number = self.next_socket.fetch_add(1, Ordering::Relaxed);
        let open = OpenSocket(Arc::clone(self), number);
        // There before the task, which may end at once and then takes it away.
        self.sockets.insert(number, None);
        let task = self.connections.spawn(async move {
            let _open = open;
            work.await;
        });
        if let Some(mut socket) = self.sockets.get_mut(&number) {
            *socket = Some(task);
        }
    }

    /// Refuses new connections, publishes the wills while everybody can still hear them, asks
    /// every connection to finish and waits until all have.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        let wills = self.registry.take_wills();
        if self.config.mqtt.wills_on_stop {
            for (session, will) in wills {
                self.publish_will(&session, will).await;
            }
        }
        for attachment in self.registry.attachments() {
            self.shut_down(&attachment);
        }
        self.connections.finished().await;
    }

    /// Closes the sockets that are left. Commands are not dropped half-way.
    pub(crate) async fn cut(&self) {
        for socket in &self.sockets {
            socket.iter().for_each(AbortHandle::abort);
        }
        self.connections.finished().await;
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

/// Forgets a socket's task when it ends, however it does.
struct OpenSocket(Arc<Kernel>, u64);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.sockets.remove(&self.1);
    }
}
