//! A plugin that observes everything and can be held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::{
    BrokerHandle, CloseReason, Event, EventKind, EventKinds, Message, Observer, Origin, Plugin,
    PluginContext, PublishError, Registrar,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};

pub(super) struct Witness {
    pub(super) broker: BrokerHandle,
    config: WitnessConfig,
    saw: mpsc::UnboundedSender<Event>,
    seen: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    /// While set, each event takes a permit of the gate.
    held: AtomicBool,
    gate: Semaphore,
    entered: Semaphore,
    /// What the broker said to what was published here.
    pub(super) refused: Mutex<Vec<PublishError>>,
    calls: AtomicU64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WitnessConfig {
    capacity: usize,
    /// Publishes an answer to each message on `ping`.
    answers: bool,
    /// Observes nothing.
    blind: bool,
}

impl Default for WitnessConfig {
    fn default() -> Self {
        Self {
            capacity: 4096,
            answers: false,
            blind: false,
        }
    }
}

impl Witness {
    pub(super) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Lets all events through.
    pub(super) fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.gate.add_permits(10_000);
    }

    /// Waits until an event is being held.
    pub(super) async fn entered(&self) {
        super::demo::pass(&self.entered).await;
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(super) async fn next(&self) -> Event {
        let mut seen = self.seen.lock().await;
        tokio::time::timeout(partyline_testkit::PATIENCE, seen.recv())
            .await
            .expect("an event comes in time")
            .expect("the sender is ours")
    }

    /// The next event that is about this client, in words.
    pub(super) async fn next_of(&self, client: &str) -> String {
        loop {
            let event = self.next().await;
            if client_of(&event).as_deref() == Some(client) {
                return told(&event);
            }
        }
    }

    /// What was observed until nothing more waits; for when the broker has stopped.
    pub(super) async fn rest(&self) -> Vec<String> {
        let mut seen = self.seen.lock().await;
        let mut rest = Vec::new();
        while let Ok(event) = seen.try_recv() {
            rest.push(told(&event));
        }
        rest
    }
}

/// The client that an event is about.
fn client_of(event: &Event) -> Option<String> {
    Some(match event {
        Event::SessionOpened { session, .. }
        | Event::SessionResumed { session, .. }
        | Event::SessionClosed { session, .. }
        | Event::Subscribed { session, .. }
        | Event::Unsubscribed { session, .. } => session.device.client_id.to_string(),
        Event::Published { session, .. } => session.as_ref()?.device.client_id.to_string(),
        Event::SessionExpired { device, .. }
        | Event::Delivered { device, .. }
        | Event::Acked { device, .. }
        | Event::Dropped { device, .. } => device.client_id.to_string(),
        Event::AuthFailed { client_id, .. } => client_id.to_string(),
        _ => return None,
    })
}

/// An event in words.
fn told(event: &Event) -> String {
    let name = event.kind().name();
    match event {
        Event::SessionClosed { reason, kept, .. } => {
            let reason = match reason {
                CloseReason::Disconnected => "disconnected".to_owned(),
                CloseReason::Lost => "lost".to_owned(),
                CloseReason::ProtocolError(reason) => format!("error {:#04x}", reason.code()),
                CloseReason::Ended(reason) => format!("ended {:#04x}", reason.code()),
                other => panic!("unknown: {other:?}"),
            };
            format!("{name} {reason}{}", if *kept { ", kept" } else { "" })
        }
        Event::Subscribed { filter, qos, .. } => {
            format!("{name} {} {}", filter.as_str(), qos.level())
        }
        Event::Unsubscribed { filter, .. } => format!("{name} {}", filter.as_str()),
        Event::Published { message, .. } => format!("{name} {}", message.topic.as_str()),
        Event::Delivered { message, qos, .. } => {
            format!("{name} {} {}", message.topic.as_str(), qos.level())
        }
        Event::Acked {
            message, reason, ..
        } => format!("{name} {} {:#04x}", message.topic.as_str(), reason.code()),
        Event::Dropped { message, why, .. } => {
            format!("{name} {} {why:?}", message.topic.as_str())
        }
        Event::AuthFailed { reason, .. } => format!("{name} {:#04x}", reason.code()),
        _ => name.to_owned(),
    }
}

#[async_trait]
impl Observer for Witness {
    async fn observe(&self, event: &Event) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.held.load(Ordering::SeqCst) {
            self.entered.add_permits(1);
            self.gate.acquire().await.expect("never closed").forget();
        }
        assert!(client_of(event).as_deref() != Some("panicky"), "on purpose");
        if let Event::Published { app, message, .. } = event
            && self.config.answers
            && message.topic.as_str() == "ping"
        {
            let answer = Message::new(message.topic.clone(), "pong", Origin::Client);
            if let Err(error) = self.broker.publish(app, answer).await {
                self.refused.lock().push(error);
            }
        }
        // The test may be over.
        let _ = self.saw.send(event.clone());
    }
}

impl Witness {
    fn new(broker: BrokerHandle, config: WitnessConfig) -> Self {
        let (saw, seen) = mpsc::unbounded_channel();
        Self {
            broker,
            config,
            saw,
            seen: tokio::sync::Mutex::new(seen),
            held: AtomicBool::new(false),
            gate: Semaphore::new(0),
            entered: Semaphore::new(0),
            refused: Mutex::default(),
            calls: AtomicU64::new(0),
        }
    }

    fn declare(self: &Arc<Self>, registrar: &mut Registrar) {
        let kinds = if self.config.blind {
            EventKinds::from(EventKind::AuthFailed)
        } else {
            EventKinds::ALL
        };
        registrar.observe(kinds, self.config.capacity, self.clone());
    }
}

#[async_trait]
impl Plugin for Witness {
    const ID: &'static str = "witness";
    type Config = WitnessConfig;

    async fn build(cx: PluginContext, config: WitnessConfig) -> anyhow::Result<Self> {
        Ok(Self::new(cx.broker, config))
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(Arc::clone(self));
        self.declare(registrar);
    }
}

/// Another of the same kind.
pub(super) struct Second(pub(super) Arc<Witness>);

#[async_trait]
impl Plugin for Second {
    const ID: &'static str = "second";
    type Config = WitnessConfig;

    async fn build(cx: PluginContext, config: WitnessConfig) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Witness::new(cx.broker, config))))
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(Arc::clone(self));
        self.0.declare(registrar);
    }
}
