//! `$SYS/#`: an app's server sees how its app does, under the topics that mosquitto made usual.
//!
//! Every topic is an outlet for servers. Its value comes at once when somebody subscribes, and
//! again after each interval. All that could tell one app about another is the app's own: only
//! uptime and version are the broker's.

mod figures;
mod load;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::host::{Broker, Registrations};
use partyline_plugin::protocol::{TopicLimits, TopicName};
use partyline_plugin::services::Services;
use partyline_plugin::{
    Audience, Outgoing, Outlet, Qos, Registrar, SessionHandle, SessionId, SessionInfo,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::figures::{Figures, TOPICS};
use crate::kernel::Kernel;

pub(crate) use self::load::Load;

/// What all of it lies under.
const NAMESPACE: &str = "$SYS/";

/// Who listens, and to what.
pub(crate) struct Sys {
    kernel: Weak<Kernel>,
    listeners: Mutex<HashMap<SessionId, Listener>>,
    /// The names of [`TOPICS`].
    names: Vec<TopicName>,
}

struct Listener {
    handle: SessionHandle,
    /// Places in [`TOPICS`].
    topics: Vec<usize>,
}

/// One topic.
struct Topic {
    sys: Arc<Sys>,
    at: usize,
}

impl Sys {
    /// Declares the topics, and the namespace even where they are off.
    pub(crate) fn declare(kernel: &Arc<Kernel>, services: &Services) -> (Arc<Self>, Registrations) {
        let limits = TopicLimits {
            max_bytes: usize::MAX,
            max_levels: usize::MAX,
        };
        let names = TOPICS
            .iter()
            .map(|(name, _)| TopicName::parse(name, &limits));
        let sys = Arc::new(Self {
            kernel: Arc::downgrade(kernel),
            listeners: Mutex::default(),
            names: names.filter_map(Result::ok).collect(),
        });
        let mut registrar = Registrar::new(NAMESPACE, services.clone());
        registrar.owns(NAMESPACE);
        if kernel.config.mqtt.sys_interval > 0 {
            for (at, (name, _)) in TOPICS.iter().enumerate() {
                let sys = Arc::clone(&sys);
                let topic = Arc::new(Topic { sys, at });
                registrar.outlet(name, Qos::AtMostOnce, Audience::Servers, Some(topic));
            }
        }
        (sys, registrar.finish())
    }

    /// Tells the listeners after each interval, until the broker stops.
    pub(crate) fn run(self: &Arc<Self>, kernel: &Arc<Kernel>) {
        let secs = kernel.config.mqtt.sys_interval;
        if secs == 0 {
            return;
        }
        let sys = Arc::clone(self);
        kernel.connections.spawn_until_stop(async move {
            let mut ticks = interval(Duration::from_secs(secs.into()));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first one comes at once.
            let mut last = ticks.tick().await;
            loop {
                let now = ticks.tick().await;
                let Some(kernel) = sys.kernel.upgrade() else {
                    return;
                };
                sys.tell_all(&kernel, now - last);
                last = now;
            }
        });
    }

    fn tell_all(&self, kernel: &Kernel, since: Duration) {
        for space in kernel.spaces() {
            space.load.lock().advance(space.traffic.totals(), since);
        }
        let listeners: Vec<(SessionHandle, Vec<usize>)> = {
            let listeners = self.listeners.lock();
            let each = listeners.values();
            each.map(|one| (one.handle, one.topics.clone())).collect()
        };
        for (handle, topics) in listeners {
            self.tell(kernel, handle, &topics);
        }
    }

    /// Sends the present values of these topics.
    fn tell(&self, kernel: &Kernel, to: SessionHandle, topics: &[usize]) {
        let Some((session, _)) = kernel.registry.connection(to.id) else {
            return;
        };
        let figures = Figures::of(&session.space, kernel.metrics.started, Instant::now());
        for at in topics {
            if let (Some((_, value)), Some(name)) = (TOPICS.get(*at), self.names.get(*at)) {
                let message = Outgoing {
                    topic: name.clone(),
                    payload: value(&figures).into_bytes().into(),
                    qos: Qos::AtMostOnce,
                };
                // Who takes nothing misses a value, and gets the next.
                let _ = kernel.deliver(to, message);
            }
        }
    }
}

#[async_trait]
impl Outlet for Topic {
    async fn opened(&self, session: &Arc<SessionInfo>) {
        {
            let mut listeners = self.sys.listeners.lock();
            let listener = listeners.entry(session.id).or_insert_with(|| Listener {
                handle: session.handle(),
                topics: Vec::new(),
            });
            listener.handle = session.handle();
            if !listener.topics.contains(&self.at) {
                listener.topics.push(self.at);
            }
        }
        if let Some(kernel) = self.sys.kernel.upgrade() {
            self.sys.tell(&kernel, session.handle(), &[self.at]);
        }
    }

    async fn closed(&self, session: &Arc<SessionInfo>) {
        let mut listeners = self.sys.listeners.lock();
        if let Some(listener) = listeners.get_mut(&session.id) {
            listener.topics.retain(|topic| *topic != self.at);
            if listener.topics.is_empty() {
                listeners.remove(&session.id);
            }
        }
    }
}
