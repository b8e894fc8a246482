//! Says who is here, by retained messages.

mod store;

use std::sync::Arc;

use partyline_plugin::database::{Database, Migrations};
use partyline_plugin::protocol::{TopicLimits, TopicName};
use partyline_plugin::{
    BrokerHandle, CancellationToken, Clock, CloseReason, DEFAULT_QUEUE, DeviceKey, Event,
    EventKind, Message, MessageProperties, Observer, Origin, Owner, Plugin, PluginContext,
    PublishError, Qos, Reason, Registrar, async_trait, tracing,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Keeps a retained message `{"online": true, "at_ms": 1700000000000}` for each client on
/// `presence/{client id}`; for one that only a user's name vouches for, on
/// `presence/{user}/{client id}`, and without credentials on `presence/-/{client id}`. What a topic
/// level cannot hold is written as `%2F` and so on. The app's server has no presence.
///
/// Events only say that something may have changed. What is published is what the broker says then,
/// and once more if that has changed meanwhile; so a takeover, a lost event and a reconnect in the
/// wrong moment all end in the truth. Who was here when the broker stopped is in a table, and is
/// looked at when it starts again.
#[derive(Debug)]
pub struct Presence {
    config: PresenceConfig,
    broker: BrokerHandle,
    database: Database,
    clock: Clock,
}

/// `[plugins.presence]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceConfig {
    /// How long it is remembered that a client has left, seconds.
    pub offline_seconds: u32,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            offline_seconds: 86_400,
        }
    }
}

#[async_trait]
impl Plugin for Presence {
    const ID: &'static str = "presence";
    type Config = PresenceConfig;

    fn migrations() -> Option<Migrations> {
        Some(store::MIGRATIONS)
    }

    async fn build(cx: PluginContext, config: PresenceConfig) -> anyhow::Result<Self> {
        Ok(Self {
            config,
            broker: cx.broker,
            database: cx.database,
            clock: cx.clock,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let kinds = [
            EventKind::SessionOpened,
            EventKind::SessionResumed,
            EventKind::SessionClosed,
        ];
        registrar.observe(kinds, DEFAULT_QUEUE, self.clone());
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        for device in store::online(&self.database).await? {
            self.settle(&device).await;
        }
        stop.cancelled().await;
        Ok(())
    }
}

#[async_trait]
impl Observer for Presence {
    async fn observe(&self, event: &Event) {
        match event {
            // Whoever took over is told of next.
            Event::SessionClosed {
                reason: CloseReason::Ended(Reason::SessionTakenOver),
                ..
            } => {}
            Event::SessionOpened { session, .. }
            | Event::SessionResumed { session, .. }
            | Event::SessionClosed { session, .. } => self.settle(&session.device).await,
            _ => {}
        }
    }
}

impl Presence {
    /// Publishes whether the device is here until that is still true afterwards. Two of these at a
    /// time do no harm: each looks again after it has published.
    async fn settle(&self, device: &DeviceKey) {
        let Some(topic) = topic(device) else { return };
        loop {
            let online = self.broker.session_of(device).is_some();
            if let Err(error) = self.say(device, &topic, online).await {
                tracing::warn!(session.device = %device, %error, "presence is not up to date");
                return;
            }
            if self.broker.session_of(device).is_some() == online {
                return;
            }
        }
    }

    async fn say(&self, device: &DeviceKey, topic: &TopicName, online: bool) -> anyhow::Result<()> {
        if online {
            // Before it is said: a crash in between costs one message too many at the next start.
            store::set(&self.database, device, true).await?;
        }
        let payload = json!({ "online": online, "at_ms": self.clock.now_ms() });
        let mut message = Message::new(topic.clone(), payload.to_string(), Origin::System);
        message.qos = Qos::AtLeastOnce;
        message.retain = true;
        if !online {
            let mut properties = MessageProperties::default();
            properties.expiry_secs = Some(self.config.offline_seconds);
            message.properties = Some(Box::new(properties));
        }
        match self.broker.publish(&device.app, message).await {
            // Its row says so at the next start.
            Err(PublishError::Stopping) => return Ok(()),
            published => published?,
        }
        if !online {
            store::set(&self.database, device, false).await?;
        }
        Ok(())
    }
}

fn topic(device: &DeviceKey) -> Option<TopicName> {
    let client = level(device.client_id.as_str());
    let text = match &device.owner {
        Owner::Device => format!("presence/{client}"),
        Owner::User(user) => format!("presence/{}/{client}", level(user.as_str())),
        Owner::Anonymous => format!("presence/-/{client}"),
        Owner::Server => return None,
    };
    TopicName::parse(&text, &TopicLimits::default()).ok()
}

/// A client id may hold what a level of a topic may not.
fn level(text: &str) -> String {
    let mut level = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' => level.push_str("%25"),
            '/' => level.push_str("%2F"),
            '+' => level.push_str("%2B"),
            '#' => level.push_str("%23"),
            other => level.push(other),
        }
    }
    level
}
