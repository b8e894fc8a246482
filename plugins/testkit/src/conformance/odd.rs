//! Input that no good client sends.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use futures_util::FutureExt;
use partyline_plugin::host::{Registrations, without_broker};
use partyline_plugin::protocol::TopicName;
use partyline_plugin::protocol::{ClientId, ErrorCode, Reason, TopicFilter, TopicLimits};
use partyline_plugin::{
    CloseReason, ConnectRequest, DropReason, Event, HookResult, Message, Plugin, ProtocolVersion,
    Qos, Recipient, Role, Scope, SessionInfo, SubscribeRequest, Subscription, SubscriptionOptions,
};
use serde_json::Value;

use crate::unit::session;
use crate::{PATIENCE, TestContext, TestPlugin, message};

const TOPICS: [&str; 5] = ["a", "/", "a//b", "äöü/𝄞", "$x/nobody/nothing"];
const FILTERS: [&str; 5] = ["#", "+", "a/#", "+/+/+", "äöü/𝄞"];

fn payloads() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        b"{}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{\"id\":".to_vec(),
        br#"{"id":1,"id":2}"#.to_vec(),
        br#"{"id":"x","unknown":{"deep":[1,2,3]}}"#.to_vec(),
        br#"{"id":-1e308}"#.to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"[".repeat(10_000),
        format!("{{\"id\":\"{}\"}}", "x".repeat(100_000)).into_bytes(),
    ]
}

/// Waits for a call that must neither panic nor wait for ever.
async fn called<T>(what: &str, call: impl Future<Output = T>) -> anyhow::Result<T> {
    let call = AssertUnwindSafe(call).catch_unwind();
    let ended = tokio::time::timeout(PATIENCE, call).await;
    match ended.with_context(|| format!("{what} does not end"))? {
        Ok(value) => Ok(value),
        Err(_) => bail!("{what} panics"),
    }
}

/// The same for one that must be able to decide.
async fn decided<V>(what: &str, call: impl Future<Output = HookResult<V>>) -> anyhow::Result<()> {
    let verdict = called(what, call).await?;
    verdict.with_context(|| format!("{what} fails")).map(drop)
}

pub(super) async fn try_all<P: Plugin>(
    context: &TestContext,
    plugin: &TestPlugin<P>,
) -> anyhow::Result<()> {
    connects(plugin.declared()).await?;
    for role in [Role::Device, Role::Server, Role::Anonymous] {
        let who = context.broker().connect_as(|id| {
            let mut info = session(id, "odd-client");
            info.principal.role = role;
            info
        });
        messages(plugin.declared(), &who).await?;
        subscriptions(plugin.declared(), &who).await?;
        outlets(plugin.declared(), &who).await?;
        events(plugin, &who).await?;
        commands(plugin, &who).await?;
    }
    Ok(())
}

async fn connects(declared: &Registrations) -> anyhow::Result<()> {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let names = [None, Some(String::new()), Some("ä/#$+\n".to_owned())];
    let long = Some("x".repeat(60_000));
    for username in names.into_iter().chain([long]) {
        for password in [None, Some(&b""[..]), Some(&b"\xff\x00"[..])] {
            let client_id = ClientId::parse("odd-client")?;
            let mut request = ConnectRequest::new(client_id, ProtocolVersion::V311, peer);
            request.username = username.as_deref().map(Into::into);
            request.password = password.map(bytes::Bytes::from_static);
            request.user_properties = vec![("".into(), "\u{7f}".into())];
            for hook in &declared.authenticate {
                decided("authentication", hook.hook.authenticate(&request)).await?;
            }
        }
    }
    Ok(())
}

/// Topics of anybody, and of each scope and command that was declared.
fn odd_topics(declared: &Registrations) -> BTreeSet<String> {
    let scopes = (declared.publish_filters.iter().map(|filter| filter.scope))
        .chain(declared.will_filters.iter().map(|filter| filter.scope))
        .chain(declared.deliver_filters.iter().map(|(scope, _)| *scope));
    let prefixes = scopes.filter_map(|scope| match scope {
        Scope::Prefix(prefix) => Some(prefix),
        _ => None,
    });
    let commands = declared.commands.iter().map(|command| command.topic);
    let known = prefixes.chain(commands);
    let below =
        known.flat_map(|start| ["", "a", "/", "//b", "äöü/𝄞"].map(|end| format!("{start}{end}")));
    let any = TOPICS.iter().map(|&topic| topic.to_owned());
    let limits = TopicLimits::default();
    any.chain(below)
        .filter(|topic| TopicName::parse(topic, &limits).is_ok())
        .collect()
}

fn odd_messages(declared: &Registrations) -> Vec<Message> {
    let all = odd_topics(declared).into_iter().flat_map(|topic| {
        let of_topic = payloads().into_iter();
        of_topic.map(move |payload| message(&topic, payload))
    });
    all.collect()
}

async fn messages(declared: &Registrations, who: &SessionInfo) -> anyhow::Result<()> {
    for mut message in odd_messages(declared) {
        message.qos = Qos::ExactlyOnce;
        message.retain = true;
        if !message.topic.is_reserved() {
            for entry in &declared.authorize_publish {
                let call = entry.hook.authorize_publish(who, &message);
                decided("an access hook", call).await?;
            }
        }
        let topic = message.topic.clone();
        for filter in &declared.publish_filters {
            if filter.scope.contains(topic.as_str()) {
                let mut message = message.clone();
                let call = filter.entry.hook.on_publish(who, &mut message);
                decided("a publish filter", call).await?;
            }
        }
        for filter in &declared.will_filters {
            if filter.scope.contains(topic.as_str()) {
                let mut message = message.clone();
                let call = filter.entry.hook.on_will(who, &mut message);
                decided("a will filter", call).await?;
            }
        }
        for (scope, entry) in &declared.deliver_filters {
            if scope.contains(topic.as_str()) {
                for to in [Some(who), None] {
                    let to = Recipient::new(&who.device, to);
                    // As in the broker, which may hold locks then.
                    let call = async { without_broker(|| entry.hook.on_deliver(to, &message)) };
                    let _ = called("a deliver filter", call).await?;
                }
            }
        }
    }
    Ok(())
}

async fn subscriptions(declared: &Registrations, who: &SessionInfo) -> anyhow::Result<()> {
    for filter in FILTERS {
        let filter = TopicFilter::parse(filter, &TopicLimits::default())?;
        for share in [None, Some(Box::<str>::from("group"))] {
            let qos = Qos::ExactlyOnce;
            let request = SubscribeRequest::new(filter.clone(), share.clone(), qos);
            for entry in &declared.authorize_subscribe {
                let call = entry.hook.authorize_subscribe(who, &request);
                decided("an access hook", call).await?;
            }
            let options = SubscriptionOptions::new(qos);
            for entry in &declared.subscribe_filters {
                let mut subscription = Subscription::new(filter.clone(), share.clone(), options);
                let call = entry.hook.on_subscribe(who, &mut subscription);
                decided("a subscribe filter", call).await?;
            }
        }
    }
    Ok(())
}

async fn outlets(declared: &Registrations, who: &Arc<SessionInfo>) -> anyhow::Result<()> {
    let outlets = declared.outlets.iter();
    for outlet in outlets.filter_map(|entry| entry.outlet.as_ref()) {
        // Also twice, and closed without having been opened.
        for _ in 0..2 {
            called("an outlet", outlet.opened(who)).await?;
        }
        for _ in 0..2 {
            called("an outlet", outlet.closed(who)).await?;
        }
    }
    Ok(())
}

async fn events<P: Plugin>(plugin: &TestPlugin<P>, who: &Arc<SessionInfo>) -> anyhow::Result<()> {
    let filter = TopicFilter::parse("#", &TopicLimits::default())?;
    let (device, session) = (who.device.clone(), Arc::clone(who));
    let mut events = vec![
        Event::session_opened(Arc::clone(who)),
        Event::session_resumed(Arc::clone(who)),
        Event::session_closed(Arc::clone(who), CloseReason::Lost, true),
        Event::session_expired(device.clone()),
        Event::subscribed(Arc::clone(who), filter.clone(), Qos::AtMostOnce),
        Event::unsubscribed(session, filter),
        Event::auth_failed("".into(), who.peer, who.version, Reason::NotAuthorized),
    ];
    for message in odd_messages(plugin.declared()) {
        let app = device.app.clone();
        events.push(Event::published(app, None, message.clone()));
        let qos = Qos::AtMostOnce;
        events.push(Event::delivered(device.clone(), message.clone(), qos));
        let reason = Reason::UnspecifiedError;
        events.push(Event::acked(device.clone(), message.clone(), reason));
        let why = DropReason::QueueFull;
        events.push(Event::dropped(device.clone(), message, why));
    }
    for event in &events {
        called("an observer", plugin.observe(event)).await?;
    }
    Ok(())
}

async fn commands<P: Plugin>(plugin: &TestPlugin<P>, who: &Arc<SessionInfo>) -> anyhow::Result<()> {
    let topics = plugin.declared().commands.iter();
    for topic in topics.map(|command| command.topic) {
        for payload in payloads() {
            let call = plugin.command_bytes(who, topic, payload);
            let reply = called(topic, call).await??;
            let reply: Value = serde_json::from_slice(&reply.payload)
                .with_context(|| format!("{topic} does not answer with JSON"))?;
            let code = reply.pointer("/error/code").and_then(Value::as_u64);
            let fault = u64::from(ErrorCode::SystemError.code());
            ensure!(
                code != Some(fault),
                "{topic} answers with a fault of its own: {reply}"
            );
        }
    }
    Ok(())
}
