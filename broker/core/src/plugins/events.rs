//! From what happens to the observers of it, by way of bounded queues.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use partyline_plugin::host::{ObserverEntry, causing};
use partyline_plugin::protocol::{AppKey, TopicFilter};
use partyline_plugin::{
    CancellationToken, Event, EventKind, EventKinds, Message, Observer, Origin, Qos, SessionInfo,
};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;

use super::description::ObserverDescription;
use super::stats::count;
use crate::session::Attachment;

/// How often at the most a full queue is warned of.
const WARNING_REST: Duration = Duration::from_secs(10);

/// After how long a call is reported. It is not ended.
const LONG: Duration = Duration::from_secs(5);

/// Where events go. Empty until the plugins are registered.
#[derive(Debug, Default)]
pub(crate) struct Events(OnceLock<Wanted>);

#[derive(Debug)]
struct Wanted {
    kinds: EventKinds,
    queues: Vec<Arc<Queue>>,
}

/// One observer's.
#[derive(Debug)]
struct Queue {
    plugin: &'static str,
    kinds: EventKinds,
    sender: Sender<Arc<Event>>,
    observed: AtomicU64,
    dropped: AtomicU64,
    panics: AtomicU64,
    warned: Mutex<Option<Instant>>,
}

/// An observer that is to be run.
pub(super) struct Observing {
    pub(super) plugin: &'static str,
    queue: Arc<Queue>,
    receiver: Receiver<Arc<Event>>,
    observer: Arc<dyn Observer>,
}

impl Events {
    /// Takes the observers up. What is emitted from here on waits for them to be run.
    pub(super) fn register(
        &self,
        declared: impl IntoIterator<Item = (&'static str, ObserverEntry)>,
    ) -> Vec<Observing> {
        let observing: Vec<Observing> = declared
            .into_iter()
            .map(|(plugin, entry)| Observing::new(plugin, entry))
            .collect();
        let wanted = Wanted {
            kinds: observing
                .iter()
                .fold(EventKinds::NONE, |all, one| all | one.queue.kinds),
            queues: observing.iter().map(|one| Arc::clone(&one.queue)).collect(),
        };
        // Plugins are registered once.
        let _ = self.0.set(wanted);
        observing
    }

    /// Whether anybody observes one of these kinds.
    pub(crate) fn wants(&self, kinds: impl Into<EventKinds>) -> bool {
        let wanted = self.0.get();
        wanted.is_some_and(|wanted| wanted.kinds.meets(kinds.into()))
    }

    /// Tells who observes this kind; builds nothing if nobody does.
    pub(crate) fn emit(&self, kind: EventKind, event: impl FnOnce() -> Event) {
        if self.wants(kind) {
            self.send(kind, event());
        }
    }

    /// A message was routed, which its own plugin is not told.
    pub(crate) fn published(&self, session: Option<&Arc<SessionInfo>>, told: Option<Told>) {
        if let Some(Told(app, message)) = told {
            let event = Event::published(app, session.cloned(), message);
            self.send(EventKind::Published, event);
        }
    }

    /// A filter was granted to a connection.
    pub(crate) fn subscribed(&self, attachment: &Attachment, filter: &TopicFilter, qos: Qos) {
        self.emit(EventKind::Subscribed, || {
            Event::subscribed(attachment.info(), filter.clone(), qos)
        });
    }

    /// A subscription of a connection went.
    pub(crate) fn unsubscribed(&self, info: &SessionInfo, filter: &TopicFilter) {
        self.emit(EventKind::Unsubscribed, || {
            Event::unsubscribed(Arc::new(info.clone()), filter.clone())
        });
    }

    /// Keeps what [`Events::published`] will tell.
    pub(crate) fn about(&self, app: &AppKey, message: &Message) -> Option<Told> {
        let wanted = self.wants(EventKind::Published);
        wanted.then(|| Told(app.clone(), message.clone()))
    }

    fn send(&self, kind: EventKind, event: Event) {
        let queues = self.0.get().into_iter().flat_map(|wanted| &wanted.queues);
        let author = match &event {
            Event::Published { message, .. } => match message.origin {
                Origin::Plugin(plugin) => Some(plugin),
                _ => None,
            },
            _ => None,
        };
        let event = Arc::new(event);
        for queue in queues {
            if queue.kinds.contains(kind) && author != Some(queue.plugin) {
                queue.put(&event);
            }
        }
    }

    pub(crate) fn describe(&self) -> Vec<ObserverDescription> {
        let queues = self.0.get().into_iter().flat_map(|wanted| &wanted.queues);
        queues.map(|queue| queue.describe()).collect()
    }
}

/// What is to be told of a message once it is routed; nothing where nobody wants to know.
#[derive(Debug)]
pub(crate) struct Told(AppKey, Message);

impl Queue {
    fn put(&self, event: &Arc<Event>) {
        // A receiver that is gone belongs to a plugin that has stopped.
        let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(Arc::clone(event))
        else {
            return;
        };
        count(&self.dropped);
        let mut warned = self.warned.lock();
        if warned.is_none_or(|warned| warned.elapsed() >= WARNING_REST) {
            *warned = Some(Instant::now());
            tracing::warn!(
                plugin = self.plugin,
                dropped = self.dropped.load(Ordering::Relaxed),
                "an observer is too slow, events are dropped"
            );
        }
    }

    fn describe(&self) -> ObserverDescription {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let capacity = self.sender.max_capacity();
        ObserverDescription {
            plugin: self.plugin,
            events: self.kinds.iter().map(EventKind::name).collect(),
            capacity,
            waiting: capacity - self.sender.capacity(),
            observed: read(&self.observed),
            dropped: read(&self.dropped),
            panics: read(&self.panics),
        }
    }
}

impl Observing {
    fn new(plugin: &'static str, entry: ObserverEntry) -> Self {
        let (sender, receiver) = mpsc::channel(entry.capacity);
        let queue = Queue {
            plugin,
            kinds: entry.kinds,
            sender,
            observed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            warned: Mutex::default(),
        };
        Self {
            plugin,
            queue: Arc::new(queue),
            receiver,
            observer: entry.observer,
        }
    }

    /// Tells the observer, one event after the other, until the plugin stops and the queue is
    /// empty.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = tokio::select! {
                biased;
                next = self.receiver.recv() => next,
                () = stop.cancelled() => {
                    self.receiver.close();
                    self.receiver.recv().await
                }
            };
            let Some(event) = next else {
                return;
            };
            self.tell(&event).await;
        }
    }

    async fn tell(&self, event: &Event) {
        let plugin = self.plugin;
        let hops = event.message().map_or(0, |message| message.hops);
        let call = AssertUnwindSafe(causing(hops, self.observer.observe(event))).catch_unwind();
        let mut call = std::pin::pin!(call);
        let ended = if let Ok(ended) = tokio::time::timeout(LONG, call.as_mut()).await {
            ended
        } else {
            tracing::warn!(plugin, event = event.kind().name(), "an observer is slow");
            call.await
        };
        count(&self.queue.observed);
        if ended.is_err() {
            count(&self.queue.panics);
            tracing::error!(plugin, event = event.kind().name(), "an observer panicked");
        }
    }
}
