//! A PUBLISH to a `$` topic: a command, or nothing that a client may publish to.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use futures_util::FutureExt;
use partyline_plugin::protocol::{ErrorCode, RequestError, TopicName, names};
use partyline_plugin::{CommandCx, CommandReply, Message, ProtocolVersion, Qos, Reason, Role};

use super::Connection;
use super::pending::{ReplyTo, write_reply};

/// The `$` topics that a Response Topic may name, beside the one that the command declares.
const REPLY_TOPICS: [&str; 2] = [names::IM_REPLY, names::PUSH_REPLY];

impl Connection {
    pub(super) async fn on_command(&mut self, id: u16, message: &Message) {
        let (qos, topic) = (message.qos, message.topic.as_str());
        let info = self.info();
        let hooks = self.kernel.hooks.load_full();
        let Some(namespace_reply) = hooks.reply_topic(topic) else {
            // Nobody answers here, so only the acknowledgement can say so.
            self.finish_publish(id, qos, Reason::NotAuthorized);
            return;
        };
        if info.principal.role == Role::Anonymous {
            self.finish_publish(id, qos, Reason::NotAuthorized);
            return;
        }
        self.pace.count();
        let properties = message.properties.as_deref();
        let response_topic = properties.and_then(|properties| properties.response_topic.as_deref());
        let correlation = properties.and_then(|properties| properties.correlation_data.clone());
        let reply_topic = response_topic.unwrap_or(namespace_reply);
        let reply = ReplyTo {
            topic: reply_topic.into(),
            correlation,
        };
        if reply_topic != namespace_reply && !self.may_reply_to(reply_topic) {
            let to = ReplyTo {
                topic: namespace_reply.into(),
                ..reply
            };
            let error = RequestError::new(ErrorCode::InvalidRequest)
                .with_detail("the response topic is not one a reply can go to");
            self.refuse_command(id, message, &to, &error);
            return;
        }
        if message.retain {
            let error = RequestError::new(ErrorCode::RetainedCommand);
            self.refuse_command(id, message, &reply, &error);
            return;
        }
        let Some(command) = hooks.command(topic) else {
            let error = RequestError::new(ErrorCode::UnknownVerb);
            self.refuse_command(id, message, &reply, &error);
            return;
        };
        let payload = bytes::Bytes::copy_from_slice(&message.payload);
        let request = payload.clone();
        let running = command.handler.call(CommandCx::new(info), payload);
        let mut running = Box::pin(AssertUnwindSafe(running).catch_unwind());
        let done = move |result: Result<CommandReply, _>| {
            result.unwrap_or_else(|_| {
                tracing::error!("a command handler panicked");
                CommandReply::refusal(&request, &RequestError::new(ErrorCode::SystemError))
            })
        };
        // Polled once here, so that commands begin in the order in which they came.
        let first = std::future::poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx))).await;
        if let Poll::Ready(result) = first {
            let result = done(result);
            write_reply(&self.codec, &reply, result.payload, &mut self.wire.output);
            self.finish_publish(id, qos, result.reason);
            return;
        }
        let slot = Arc::new(OnceLock::new());
        self.pending.running(id, qos, Arc::clone(&slot), reply);
        let (session, attachment) = (Arc::clone(&self.session), Arc::clone(&self.attachment));
        let v5 = self.codec.version() == ProtocolVersion::V5;
        // In a task of its own: it is finished even if its connection is not there any more.
        self.kernel.connections.spawn(async move {
            let result = done(running.await);
            if qos == Qos::ExactlyOnce && !(v5 && result.reason.is_error()) {
                session.state().received.insert(id);
            }
            // Only this task sets the slot.
            let _ = slot.set(result);
            attachment.signal.wake();
        });
    }

    fn refuse_command(&mut self, id: u16, message: &Message, to: &ReplyTo, error: &RequestError) {
        let refusal = CommandReply::refusal(&message.payload, error);
        write_reply(&self.codec, to, refusal.payload, &mut self.wire.output);
        self.finish_publish(id, message.qos, refusal.reason);
    }

    fn may_reply_to(&self, topic: &str) -> bool {
        if topic.starts_with('$') {
            return REPLY_TOPICS.contains(&topic);
        }
        TopicName::parse(topic, &self.kernel.config.limits.topic()).is_ok()
    }
}
