//! A plugin whose filters do what the topic tells them: `{policy}/{phase}/{action}`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::{
    FilterOptions, HookError, HookResult, MAX_HOPS, Message, OnFault, Origin, Phase, Plugin,
    PluginContext, PublishFilter, Qos, Reason, Registrar, Scope, SessionInfo, Verdict,
};
use partyline_protocol::{TopicLimits, TopicName};
use serde_json::Value;

use super::demo::Config;

pub(super) struct Sieve {
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Sieve {
    /// The filters that were called since the last look, in order.
    pub(super) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock())
    }
}

struct Filter {
    name: &'static str,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

#[async_trait]
impl PublishFilter for Filter {
    async fn on_publish(&self, _: &SessionInfo, message: &mut Message) -> HookResult<Verdict> {
        self.calls.lock().push(self.name);
        if (message.origin, message.hops) != (Origin::Client, 0) {
            self.calls.lock().push("forged");
        }
        let topic = message.topic.as_str().to_owned();
        let Some((phase, action)) = topic
            .split_once('/')
            .and_then(|(_, rest)| rest.split_once('/'))
        else {
            return Ok(Verdict::Next);
        };
        if phase != self.name {
            return Ok(Verdict::Next);
        }
        Ok(match action {
            "accept" => Verdict::Accept,
            "explain" => Verdict::reject_because(Reason::QuotaExceeded, "too much of it"),
            "consume" => Verdict::Consume,
            "reject" => Verdict::reject(Reason::QuotaExceeded),
            "disconnect" => Verdict::disconnect(Reason::MessageRateTooHigh),
            "payload" => {
                message.payload = "rewritten".into();
                Verdict::Next
            }
            "topic" => {
                message.topic = parsed("moved");
                Verdict::Next
            }
            "address" => {
                message.topic = parsed("moved");
                (message.qos, message.retain) = (Qos::AtMostOnce, true);
                Verdict::Next
            }
            "deep" => {
                message.topic = parsed(&vec!["x"; 33].join("/"));
                Verdict::Next
            }
            "forge" => {
                (message.origin, message.hops) = (Origin::Plugin("demo"), MAX_HOPS);
                Verdict::Next
            }
            "secret" => {
                message.topic = parsed("secret/x");
                Verdict::Next
            }
            "half" => {
                message.payload = "rewritten".into();
                message.topic = parsed("moved");
                message.retain = true;
                return Err(HookError::new("on purpose"));
            }
            "error" => return Err(HookError::new("on purpose")),
            "panic" => panic!("on purpose"),
            "late-panic" => {
                tokio::task::yield_now().await;
                panic!("on purpose")
            }
            "hang" => std::future::pending().await,
            "wait" => {
                tokio::task::yield_now().await;
                Verdict::Next
            }
            _ => Verdict::Next,
        })
    }
}

fn parsed(topic: &str) -> TopicName {
    TopicName::parse(topic, &TopicLimits::MQTT).expect("a topic")
}

#[async_trait]
impl Plugin for Sieve {
    const ID: &'static str = "sieve";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self {
            calls: Arc::default(),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .provides(Arc::clone(self))
            .owns("$x/sieve/")
            .command(
                "$x/sieve/hello",
                "$x/sieve/answers",
                self,
                |_, _, _: Value| async { Ok("hello") },
            );
        // Last things first, so that the order of phases is not the order of registration.
        let filters = [
            ("handle", Phase::Handle),
            ("transform", Phase::Transform),
            ("transform-2", Phase::Transform),
            ("validate", Phase::Validate),
            ("authorize", Phase::Authorize),
            ("rewrite", Phase::Rewrite),
        ];
        // A short deadline for those that are to miss it, a long one for who is to keep it.
        let (short, long) = (Duration::from_millis(50), Duration::from_secs(20));
        for (prefix, deadline, on_fault) in [
            ("deny/", short, OnFault::Deny),
            ("skip/", short, OnFault::Skip),
            ("patient/", long, OnFault::Deny),
            ("$x/sieve/", long, OnFault::Deny),
        ] {
            for (name, phase) in filters {
                let filter = Arc::new(Filter {
                    name,
                    calls: Arc::clone(&self.calls),
                });
                let options = FilterOptions::default()
                    .deadline(deadline)
                    .on_fault(on_fault);
                registrar.publish_filter(phase, Scope::Prefix(prefix), options, filter);
            }
        }
    }
}
