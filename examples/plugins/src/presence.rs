//! Says who is here, by retained messages.

mod store;

use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::database::{Database, Migrations};
use partyline_plugin::protocol::{TopicLimits, TopicName};
use partyline_plugin::{
    BrokerHandle, CancellationToken, Clock, CloseReason, DEFAULT_QUEUE, DeviceKey, Event,
    EventKind, Message, MessageProperties, Observer, Origin, Owner, Plugin, PluginContext,
    PublishError, Qos, Reason, Registrar, Tasks, async_trait, tracing,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Keeps a retained message `{"online": true, "at_ms": 1700000000000}` for each client on
/// `presence/{client id}`; for one that only a user's name vouches for, on
/// `presence/{user}/{client id}`, and without credentials on `presence/-/{client id}`. What a topic
/// level cannot hold is written as `%2F` and so on. The app's server has no presence.
///
/// Events only say that something may have changed. What is published is what the broker says then,
/// and once more if that has changed meanwhile; so a takeover or a reconnect in the wrong moment ends
/// in the truth. Who was said to be here is in a table, which is looked through at the start, after
/// a crash too, and now and then, in case the end of a connection was an event too many.
#[derive(Debug)]
pub struct Presence {
    config: PresenceConfig,
    broker: BrokerHandle,
    database: Database,
    clock: Clock,
    tasks: Tasks,
}

/// `[plugins.presence]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresenceConfig {
    /// How long it is remembered that a client has left, seconds.
    pub offline_seconds: u32,
    /// How often it is checked who is still here, seconds.
    pub check_seconds: u32,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            offline_seconds: 86_400,
            check_seconds: 60,
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
            tasks: cx.tasks,
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
        let tasks = self.tasks.clone();
        let period = Duration::from_secs(self.config.check_seconds.max(1).into());
        let check = move || {
            let presence = Arc::clone(&self);
            async move {
                if let Err(error) = presence.check().await {
                    tracing::warn!(%error, "presence is not checked");
                }
            }
        };
        tasks.every("presence", period, check);
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
    /// Takes leave of those who are gone without a word.
    async fn check(&self) -> anyhow::Result<()> {
        let mut after = store::Row::default();
        loop {
            let rows = store::online(&self.database, &after).await?;
            for row in &rows {
                let device = store::device(row)?;
                if self.broker.session_of(&device).is_none() {
                    self.settle(&device).await;
                }
            }
            match rows.into_iter().next_back() {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

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
