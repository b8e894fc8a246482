//! Writes down who came, what they subscribed to, and who was refused.

mod file;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use partyline_plugin::{
    Clock, DEFAULT_QUEUE, Event, EventKind, EventKinds, Health, Observer, Plugin, PluginContext,
    Registrar, SessionInfo, Tasks, async_trait, tracing,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use file::Rotating;

/// Appends a line of JSON for each event to `audit-log/audit.jsonl` in the data folder. Payloads
/// and passwords are not in it.
///
/// An observer never delays a packet: when the disk is slower than the events, some are lost, and
/// the broker's log and metrics say how many.
#[derive(Debug)]
pub struct AuditLog {
    config: AuditLogConfig,
    file: Arc<Mutex<Rotating>>,
    /// Why the last line could not be written.
    fault: Mutex<Option<String>>,
    tasks: Tasks,
    clock: Clock,
}

/// `[plugins.audit-log]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditLogConfig {
    /// Whether topic, QoS and size of each message are written down too.
    pub messages: bool,
    /// Size at which a new file is begun, bytes.
    pub file_bytes: u64,
    /// How many full files are kept: `audit.1.jsonl` is the newest.
    pub files: u32,
}

impl Default for AuditLogConfig {
    fn default() -> Self {
        Self {
            messages: false,
            file_bytes: 16 * 1024 * 1024,
            files: 4,
        }
    }
}

#[async_trait]
impl Plugin for AuditLog {
    const ID: &'static str = "audit-log";
    type Config = AuditLogConfig;

    fn validate(config: &AuditLogConfig) -> anyhow::Result<()> {
        ensure!(
            config.file_bytes >= 4096,
            "`file_bytes` must be at least 4096"
        );
        ensure!(config.files <= 1000, "`files` must be at most 1000");
        Ok(())
    }

    async fn build(cx: PluginContext, config: AuditLogConfig) -> anyhow::Result<Self> {
        let folder: PathBuf = cx.data_dir.join(Self::ID);
        let file = Rotating::open(folder, config.file_bytes, config.files);
        let file = file.context("cannot open the audit log")?;
        Ok(Self {
            config,
            file: Arc::new(Mutex::new(file)),
            fault: Mutex::default(),
            tasks: cx.tasks,
            clock: cx.clock,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let mut kinds = EventKinds::from([
            EventKind::SessionOpened,
            EventKind::SessionResumed,
            EventKind::SessionClosed,
            EventKind::Subscribed,
            EventKind::Unsubscribed,
            EventKind::AuthFailed,
        ]);
        if self.config.messages {
            kinds = kinds | EventKind::Published.into();
        }
        registrar.observe(kinds, DEFAULT_QUEUE, self.clone());
    }

    async fn health(&self) -> Health {
        let fault = self.fault.lock().clone();
        fault.map_or(Health::Up, Health::Down)
    }
}

#[async_trait]
impl Observer for AuditLog {
    async fn observe(&self, event: &Event) {
        let mut line = json!({ "at_ms": self.clock.now_ms(), "event": event.kind().name() });
        if let (Value::Object(line), Value::Object(told)) = (&mut line, told(event)) {
            line.extend(told);
        }
        let file = Arc::clone(&self.file);
        let written = self
            .tasks
            .blocking(move || file.lock().append(&line.to_string()));
        let fault = match written.await {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(format!("cannot write the audit log: {error}")),
            None => Some("writing the audit log panicked".to_owned()),
        };
        let mut last = self.fault.lock();
        if let Some(fault) = &fault
            && last.is_none()
        {
            tracing::error!("{fault}");
        }
        *last = fault;
    }
}

/// What of an event is written down.
fn told(event: &Event) -> Value {
    match event {
        Event::SessionOpened { session, .. } | Event::SessionResumed { session, .. } => json!({
            "who": who(session),
            "peer": session.peer,
            "version": format!("{:?}", session.version),
        }),
        Event::SessionClosed {
            session,
            reason,
            kept,
            ..
        } => json!({
            "who": who(session),
            "reason": format!("{reason:?}"),
            "kept": kept,
        }),
        Event::Subscribed {
            session,
            filter,
            qos,
            ..
        } => json!({
            "who": who(session),
            "filter": filter,
            "qos": qos.level(),
        }),
        Event::Unsubscribed {
            session, filter, ..
        } => json!({
            "who": who(session),
            "filter": filter,
        }),
        Event::Published {
            app,
            session,
            message,
            ..
        } => json!({
            "app": app,
            "who": session.as_deref().map(who),
            "origin": format!("{:?}", message.origin),
            "topic": message.topic,
            "qos": message.qos.level(),
            "retain": message.retain,
            "bytes": message.payload.len(),
        }),
        Event::AuthFailed {
            client_id,
            peer,
            reason,
            ..
        } => json!({
            "client_id": client_id,
            "peer": peer,
            "reason": reason.to_string(),
        }),
        _ => Value::Null,
    }
}

fn who(session: &SessionInfo) -> Value {
    json!({
        "session": session.id.get(),
        "device": session.device.to_string(),
        "user": session.principal.username(),
    })
}
