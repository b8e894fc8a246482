//! A plugin in the hands of a test, and a broker that only remembers.

use std::sync::Arc;

use futures_util::FutureExt;
use partyline_plugin::protocol::{ErrorCode, RequestError, TopicFilter, TopicLimits};
use partyline_plugin::{
    BrokerHandle, CommandCx, Delivery, Event, EventKind, Kick, Message, Observer, Origin, Outgoing,
    Plugin, PluginContext, Qos, Reason, Registrar, SubscriptionOptions, TrackedOutcome,
    async_trait,
};
use partyline_testkit::{TEST_APP, TestContext, message};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Greets who comes, in every way that there is.
struct Greeter {
    broker: BrokerHandle,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[async_trait]
impl Plugin for Greeter {
    const ID: &'static str = "greeter";
    type Config = Config;

    async fn build(cx: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self { broker: cx.broker })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .owns("$x/greeter/")
            .command("$x/greeter/greet", "$x/greeter/greeted", self, Self::greet)
            .observe(EventKind::SessionOpened, 16, self.clone());
    }
}

impl Greeter {
    async fn greet(self: Arc<Self>, cx: CommandCx, who: Name) -> Result<String, RequestError> {
        if who.name.is_empty() {
            return Err(RequestError::new(ErrorCode::InvalidRequest));
        }
        tokio::task::yield_now().await;
        let message = outgoing(&format!("hello {}", who.name));
        let delivery = self.broker.deliver(cx.session.handle(), message);
        Ok(format!("{delivery:?}"))
    }
}

#[async_trait]
impl Observer for Greeter {
    async fn observe(&self, event: &Event) {
        if let Event::SessionOpened { session, .. } = event {
            let message = Message::new(message("lobby", "").topic, "welcome", Origin::System);
            let published = self.broker.publish(session.app(), message).await;
            published.expect("nothing is refused here");
        }
    }
}

fn outgoing(text: &str) -> Outgoing {
    Outgoing {
        topic: message("$x/greeter/hello", "").topic,
        payload: text.as_bytes().to_vec().into(),
        qos: Qos::AtLeastOnce,
    }
}

#[tokio::test]
async fn commands_and_observers_are_called_and_calls_recorded() -> anyhow::Result<()> {
    let context = TestContext::new().await?;
    let greeter = context.build::<Greeter>(json!({})).await?;
    let alice = context.broker().connect("alice");
    let topic = "$x/greeter/greet";
    let reply = greeter
        .command(&alice, topic, json!({"id": 1, "name": "Al"}))
        .await?;
    assert_eq!(reply, json!({"id": 1, "ok": "Queued"}));
    let delivered = context.broker().delivered();
    assert_eq!(delivered[0].0, alice.handle());
    assert_eq!(delivered[0].1.payload.body, "hello Al");
    let reply = greeter.command(&alice, topic, json!({"name": ""})).await?;
    assert!(reply["error"]["code"].is_u64(), "{reply}");
    assert!(context.broker().delivered().is_empty());
    greeter.observe(&Event::session_opened(alice.clone())).await;
    greeter.observe(&Event::session_resumed(alice)).await;
    let published = context.broker().published();
    let [(app, message)] = &published[..] else {
        panic!("{published:?}");
    };
    assert_eq!(
        (app.as_str(), &message.payload[..]),
        (TEST_APP, &b"welcome"[..])
    );
    assert_eq!(message.origin, Origin::Plugin("greeter"));
    context.stop().await
}

#[tokio::test]
async fn an_unknown_key_and_an_unknown_command_are_errors() -> anyhow::Result<()> {
    let context = TestContext::new().await?;
    let built = context.build::<Greeter>(json!({"loud": true})).await;
    let said = format!("{:#}", built.err().expect("it is refused"));
    assert!(said.contains("loud"), "{said}");
    let greeter = context.build::<Greeter>(json!({})).await?;
    let alice = context.broker().connect("alice");
    let called = greeter.command(&alice, "$x/greeter/part", json!({})).await;
    assert!(called.is_err());
    context.stop().await
}

#[tokio::test]
async fn the_broker_keeps_sessions_subscriptions_and_retained_messages() -> anyhow::Result<()> {
    let context = TestContext::new().await?;
    let greeter = context.build::<Greeter>(json!({})).await?;
    let broker = &greeter.broker;
    let first = context.broker().connect("alice");
    let alice = context.broker().connect("alice");
    let bob = context.broker().connect("bob");
    assert!(broker.session(first.id).is_none(), "it was taken over");
    let all = broker.sessions_in(alice.app(), None, 1);
    assert_eq!(all[0].id, alice.id);
    let all = broker.sessions_in(alice.app(), Some(alice.id), 10);
    assert_eq!((all.len(), all[0].id), (1, bob.id));
    // Subscriptions of a session end with it.
    let filter = TopicFilter::parse("a/#", &TopicLimits::default())?;
    let options = SubscriptionOptions::new(Qos::AtLeastOnce);
    let granted = broker.subscribe(bob.id, filter.clone(), options).await?;
    assert_eq!(granted, Qos::AtLeastOnce);
    assert_eq!(
        context.broker().subscriptions(bob.id),
        [(filter.clone(), options)]
    );
    assert!(broker.unsubscribe(bob.id, &filter).await?);
    // Tracked deliveries end as the test says.
    let tracked = broker.deliver_tracked(alice.handle(), outgoing("one"));
    let lost = broker.deliver_tracked(alice.handle(), outgoing("two"));
    let mut deliveries = context.broker().tracked().into_iter();
    deliveries
        .next()
        .expect("the first")
        .end(TrackedOutcome::Acked);
    drop(deliveries);
    assert_eq!(
        (tracked.await, lost.await),
        (TrackedOutcome::Acked, TrackedOutcome::Gone)
    );
    // Or as a login, or the end of the session, has it.
    let waiting = broker.deliver_tracked(bob.handle(), outgoing("three"));
    let taken = context.broker().tracked();
    let bob = broker.set_user(bob.id, None).await?;
    assert_eq!(waiting.now_or_never(), Some(TrackedOutcome::Gone));
    for delivery in taken {
        delivery.end(TrackedOutcome::Acked);
    }
    let waiting = broker.deliver_tracked(bob.handle(), outgoing("four"));
    let taken = context.broker().tracked();
    context.broker().disconnect(bob.id);
    assert_eq!(waiting.now_or_never(), Some(TrackedOutcome::Gone));
    drop(taken);
    // Retained messages.
    let (app, topic) = (alice.app(), message("a", "").topic);
    broker.retain(app, message("a", "kept")).await?;
    let kept = broker.retained(app, &topic).await.expect("it is kept");
    assert_eq!(kept.payload, "kept");
    broker.clear_retained(app, &topic).await?;
    assert!(broker.retained(app, &topic).await.is_none());
    // Logins and kicks.
    let login = broker.set_user(alice.id, None).await?;
    assert_eq!(login.login, alice.login + 1);
    assert_eq!(
        broker.deliver(alice.handle(), outgoing("late")),
        Delivery::Gone
    );
    let kick = Kick {
        reason: Reason::AdministrativeAction,
        message: None,
        notice: None,
    };
    assert!(broker.kick(alice.id, kick.clone()) && !broker.kick(alice.id, kick));
    assert_eq!(context.broker().kicked()[0].0, alice.id);
    context.stop().await
}
