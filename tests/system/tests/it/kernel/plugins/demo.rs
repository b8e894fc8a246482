//! A plugin with commands that wait on purpose, and outlets that tell who listens.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::{
    Audience, BrokerHandle, CommandCx, Outgoing, Outlet, Plugin, PluginContext, Qos, Registrar,
    SessionInfo,
};
use partyline_protocol::{ErrorCode, RequestError, TopicLimits, TopicName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::REPLY;

/// What an outlet was told: topic, opened or closed, the device, and its user.
pub(super) type Told = (&'static str, &'static str, String, Option<String>);

pub(crate) struct Demo {
    pub(super) broker: BrokerHandle,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
    /// Names of gates in the order in which their commands began.
    pub(super) began: Mutex<Vec<String>>,
    tell: mpsc::UnboundedSender<Told>,
    told: tokio::sync::Mutex<mpsc::UnboundedReceiver<Told>>,
}

struct Gate {
    entered: Semaphore,
    opened: Semaphore,
    left: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        let closed = || Semaphore::new(0);
        Self {
            entered: closed(),
            opened: closed(),
            left: closed(),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Sized {
    size: usize,
}

impl Demo {
    fn gate(&self, name: &str) -> Arc<Gate> {
        Arc::clone(self.gates.lock().entry(name.to_owned()).or_default())
    }

    /// Waits until a command has come to this gate.
    pub(crate) async fn entered(&self, name: &str) {
        pass(&self.gate(name).entered).await;
    }

    /// Lets a command through this gate.
    pub(crate) fn open(&self, name: &str) {
        self.gate(name).opened.add_permits(1);
    }

    /// Waits until a command is through.
    pub(super) async fn left(&self, name: &str) {
        pass(&self.gate(name).left).await;
    }

    /// What an outlet was told next.
    pub(super) async fn told(&self) -> Told {
        let mut told = self.told.lock().await;
        let next = tokio::time::timeout(partyline_testkit::PATIENCE, told.recv());
        next.await
            .expect("an outlet is told in time")
            .expect("the sender is ours")
    }

    /// Whether no outlet was told anything else.
    pub(super) async fn told_nothing(&self) -> bool {
        self.told.lock().await.try_recv().is_err()
    }

    async fn run_gate(
        self: Arc<Self>,
        _: CommandCx,
        request: Named,
    ) -> Result<Value, RequestError> {
        let gate = self.gate(&request.name);
        self.began.lock().push(request.name.clone());
        gate.entered.add_permits(1);
        gate.opened.acquire().await.expect("never closed").forget();
        gate.left.add_permits(1);
        if request.name.starts_with("refused") {
            return Err(RequestError::new(ErrorCode::NoPermission));
        }
        Ok(json!({"through": request.name}))
    }

    async fn run_panic(self: Arc<Self>, _: CommandCx, late: Value) -> Result<Value, RequestError> {
        if late["late"] == true {
            tokio::task::yield_now().await;
        }
        panic!("on purpose");
    }
}

/// Takes one permit of a semaphore that gets it in time.
pub(super) async fn pass(gate: &Semaphore) {
    let permit = tokio::time::timeout(partyline_testkit::PATIENCE, gate.acquire());
    permit
        .await
        .expect("it comes in time")
        .expect("never closed")
        .forget();
}

/// A message to one session.
pub(super) fn outgoing(topic: &str, payload: impl Into<bytes::Bytes>, qos: Qos) -> Outgoing {
    let topic = TopicName::parse(topic, &TopicLimits::default()).expect("a topic");
    let payload = payload.into();
    Outgoing {
        topic,
        payload: payload.into(),
        qos,
    }
}

struct Listener {
    topic: &'static str,
    tell: mpsc::UnboundedSender<Told>,
}

impl Listener {
    fn tell(&self, what: &'static str, session: &SessionInfo) {
        let user = session.principal.username().map(ToString::to_string);
        let device = session.device.client_id.to_string();
        // The test may be over.
        let _ = self.tell.send((self.topic, what, device, user));
    }
}

/// An outlet with a fault, for the device that asks for one.
fn panic_for(session: &SessionInfo) {
    assert!(session.device.client_id.as_str() != "panicky", "on purpose");
}

#[async_trait]
impl Outlet for Listener {
    async fn opened(&self, session: &Arc<SessionInfo>) {
        self.tell("opened", session);
        panic_for(session);
    }

    async fn closed(&self, session: &Arc<SessionInfo>) {
        self.tell("closed", session);
        panic_for(session);
    }
}

#[async_trait]
impl Plugin for Demo {
    const ID: &'static str = "demo";
    type Config = Config;

    async fn build(cx: PluginContext, _: Config) -> anyhow::Result<Self> {
        let (tell, told) = mpsc::unbounded_channel();
        Ok(Self {
            broker: cx.broker,
            gates: Mutex::default(),
            began: Mutex::default(),
            tell,
            told: tokio::sync::Mutex::new(told),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let listener = |topic| -> Arc<dyn Outlet> {
            Arc::new(Listener {
                topic,
                tell: self.tell.clone(),
            })
        };
        registrar
            .owns("$x/demo/")
            .provides(Arc::clone(self))
            .command("$x/demo/echo", REPLY, self, |_, _, request: Value| async {
                Ok(request)
            })
            .command("$x/demo/gate", REPLY, self, Self::run_gate)
            .command("$x/demo/panic", REPLY, self, Self::run_panic)
            .command(
                "$x/demo/big",
                REPLY,
                self,
                |_, _, request: Sized| async move { Ok(json!({"text": "x".repeat(request.size)})) },
            );
        for (topic, qos, audience) in [
            ("$x/demo/news", Qos::AtLeastOnce, Audience::Devices),
            ("$x/demo/live", Qos::AtMostOnce, Audience::Devices),
            ("$x/demo/staff", Qos::AtLeastOnce, Audience::Servers),
        ] {
            registrar.outlet(topic, qos, audience, Some(listener(topic)));
        }
    }
}
