//! A plugin in the hands of a test.

use std::ops::Deref;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use partyline_plugin::host::Registrations;
use partyline_plugin::{
    AuthVerdict, CommandCx, CommandReply, ConnectRequest, Event, HookError, HookResult, Message,
    Plugin, SessionInfo, SubscribeVerdict, Subscription, Verdict,
};
use serde_json::Value;

/// A plugin that was built and registered. It derefs to the plugin itself; the hooks and commands
/// that it declared are called by name here, without the guards of the broker: what panics fails
/// the test.
#[derive(Debug)]
pub struct TestPlugin<P> {
    plugin: Arc<P>,
    declared: Declared,
}

/// Registrations have no words.
struct Declared(Registrations);

impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registrations")
    }
}

impl<P> Deref for TestPlugin<P> {
    type Target = Arc<P>;

    fn deref(&self) -> &Arc<P> {
        &self.plugin
    }
}

impl<P: Plugin> TestPlugin<P> {
    pub(super) fn new(plugin: Arc<P>, declared: Registrations) -> Self {
        Self {
            plugin,
            declared: Declared(declared),
        }
    }

    /// All that it declared.
    pub fn declared(&self) -> &Registrations {
        &self.declared.0
    }

    /// Authenticates as its hooks do, one after the other.
    pub async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        for entry in &self.declared().authenticate {
            match entry.hook.authenticate(request).await? {
                AuthVerdict::Next => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(AuthVerdict::Next)
    }

    /// Runs its publish filters whose scope holds the topic, phase by phase.
    pub async fn publish(
        &self,
        session: &SessionInfo,
        message: &mut Message,
    ) -> Result<Verdict, HookError> {
        let mut filters: Vec<_> = self.declared().publish_filters.iter().collect();
        filters.sort_by_key(|filter| filter.phase);
        let mut accepted = None;
        for filter in filters {
            if accepted == Some(filter.phase) || !filter.scope.contains(message.topic.as_str()) {
                continue;
            }
            match filter.entry.hook.on_publish(session, message).await? {
                Verdict::Next => {}
                Verdict::Accept => accepted = Some(filter.phase),
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Next)
    }

    /// Runs its will filters, as [`TestPlugin::publish`].
    pub async fn will(
        &self,
        session: &SessionInfo,
        will: &mut Message,
    ) -> Result<Verdict, HookError> {
        let mut filters: Vec<_> = self.declared().will_filters.iter().collect();
        filters.sort_by_key(|filter| filter.phase);
        let mut accepted = None;
        for filter in filters {
            if accepted == Some(filter.phase) || !filter.scope.contains(will.topic.as_str()) {
                continue;
            }
            match filter.entry.hook.on_will(session, will).await? {
                Verdict::Next => {}
                Verdict::Accept => accepted = Some(filter.phase),
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Next)
    }

    /// Runs its subscribe filters.
    pub async fn subscribe(
        &self,
        session: &SessionInfo,
        subscription: &mut Subscription,
    ) -> HookResult<SubscribeVerdict> {
        for entry in &self.declared().subscribe_filters {
            match entry.hook.on_subscribe(session, subscription).await? {
                SubscribeVerdict::Next => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(SubscribeVerdict::Next)
    }

    /// Tells its observers of an event.
    pub async fn observe(&self, event: &Event) {
        for entry in &self.declared().observers {
            if entry.kinds.contains(event.kind()) {
                entry.observer.observe(event).await;
            }
        }
    }

    /// Sends a command, whatever its payload.
    pub async fn command_bytes(
        &self,
        session: &Arc<SessionInfo>,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> anyhow::Result<CommandReply> {
        let mut commands = self.declared().commands.iter();
        let command = commands.find(|command| command.topic == topic);
        let command = command.with_context(|| format!("no command on {topic}"))?;
        let cx = CommandCx::new(Arc::clone(session));
        Ok(command.handler.call(cx, payload.into()).await)
    }

    /// Sends a command and returns its reply, with `ok` or `error` in it.
    pub async fn command(
        &self,
        session: &Arc<SessionInfo>,
        topic: &str,
        request: Value,
    ) -> anyhow::Result<Value> {
        let payload = request.to_string();
        let reply = self.command_bytes(session, topic, payload).await?;
        Ok(serde_json::from_slice(&reply.payload)?)
    }
}
