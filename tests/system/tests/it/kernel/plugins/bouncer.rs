//! A plugin with filters of wills, subscriptions and deliveries, which do what the topic or the
//! client id tells them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::{
    BrokerHandle, DeliverFilter, DeliverVerdict, FilterOptions, HookError, HookResult, Message,
    OnFault, Phase, Plugin, PluginContext, Qos, Reason, Recipient, Refusal, Registrar,
    RetainHandling, Scope, SessionInfo, SubscribeFilter, SubscribeVerdict, Subscription, Verdict,
    WillFilter,
};
use partyline_protocol::{TopicFilter, TopicLimits, TopicName};

use super::demo::Config;

pub(super) struct Bouncer {
    pub(super) broker: BrokerHandle,
    /// Filters called, and what for.
    calls: Mutex<Vec<String>>,
}

impl Bouncer {
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock())
    }

    fn called(&self, what: String) {
        self.calls.lock().push(what);
    }
}

pub(super) fn topic(text: &str) -> TopicName {
    TopicName::parse(text, &TopicLimits::MQTT).expect("a topic")
}

pub(super) fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, &TopicLimits::default()).expect("a filter")
}

#[async_trait]
impl WillFilter for Bouncer {
    async fn on_will(&self, session: &SessionInfo, will: &mut Message) -> HookResult<Verdict> {
        self.called(format!("will of {}", session.device.client_id));
        Ok(match will.topic.as_str() {
            "will/consume" => Verdict::Consume,
            "will/reject" => Verdict::reject_because(Reason::QuotaExceeded, "no wills today"),
            "will/move" => {
                will.topic = topic("will/moved");
                Verdict::Next
            }
            "will/secret" => {
                will.topic = topic("secret/x");
                Verdict::Next
            }
            "will/command" => {
                will.topic = topic("$x/demo/echo");
                Verdict::Next
            }
            "will/deep" => {
                will.topic = topic(&vec!["x"; 33].join("/"));
                Verdict::Next
            }
            "will/payload" => {
                will.payload = "softer words".into();
                Verdict::Accept
            }
            "will/error" => return Err(HookError::new("on purpose")),
            _ => Verdict::Next,
        })
    }
}

#[async_trait]
impl SubscribeFilter for Bouncer {
    async fn on_subscribe(
        &self,
        session: &SessionInfo,
        subscription: &mut Subscription,
    ) -> HookResult<SubscribeVerdict> {
        let name = subscription.filter.as_str().to_owned();
        self.called(format!("{} subscribes to {name}", session.device.client_id));
        let options = &mut subscription.options;
        match name.as_str() {
            "lower" => options.qos = Qos::AtMostOnce,
            "raise" => options.qos = Qos::ExactlyOnce,
            "quiet" => options.retain_handling = RetainHandling::Never,
            "deaf" => options.no_local = true,
            "elsewhere" => subscription.filter = filter("somewhere"),
            "full" => {
                let why = Refusal::because(Reason::QuotaExceeded, "too many listen");
                return Ok(SubscribeVerdict::Reject(why));
            }
            "accept" => return Ok(SubscribeVerdict::Accept),
            "hang" => std::future::pending().await,
            _ => {}
        }
        Ok(SubscribeVerdict::Next)
    }
}

impl DeliverFilter for Bouncer {
    fn on_deliver(&self, to: Recipient<'_>, message: &Message) -> DeliverVerdict {
        let id = to.device.client_id.as_str();
        let state = if to.session.is_some() { "" } else { ", absent" };
        self.called(format!("{} to {id}{state}", message.topic.as_str()));
        assert!(message.payload != "panic", "on purpose");
        if message.payload == "call" {
            // It would wait for a lock that is held.
            let session = to.session.map(|session| session.id);
            let _ = session.and_then(|id| self.broker.session(id));
        }
        if id == "shunned" {
            DeliverVerdict::Skip
        } else {
            DeliverVerdict::Keep
        }
    }
}

#[async_trait]
impl Plugin for Bouncer {
    const ID: &'static str = "bouncer";
    type Config = Config;

    async fn build(cx: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self {
            broker: cx.broker,
            calls: Mutex::default(),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let short = FilterOptions::default().deadline(Duration::from_millis(50));
        registrar
            .provides(Arc::clone(self))
            .will_filter(Phase::Rewrite, Scope::Plain, short, self.clone())
            .will_filter(
                Phase::Transform,
                Scope::Prefix("will/m"),
                short,
                self.clone(),
            )
            .subscribe_filter(short, self.clone())
            .deliver_filter(Scope::Prefix("d/"), OnFault::Deny, self.clone())
            .deliver_filter(Scope::Prefix("s/"), OnFault::Skip, self.clone());
    }
}
