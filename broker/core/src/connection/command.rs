//! A PUBLISH to a `$` topic: a command, or nothing that a client may publish to.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use partyline_plugin::protocol::{ErrorCode, RequestError, TopicName};
use partyline_plugin::{
    CommandCx, CommandReply, Message, MessageProperties, Reason, Refusal, Role,
};

use super::Connection;
use super::pending::{ReplyTo, write_reply};
use super::publish::Receipt;
use crate::session::{InWork, Slot};

impl Connection {
    pub(super) async fn on_command(&mut self, receipt: Receipt, message: &Message) {
        let topic = message.topic.as_str();
        let info = self.info();
        let hooks = self.kernel.hooks.load_full();
        let Some(namespace_reply) = hooks.reply_topic(topic) else {
            // Nobody answers here, so only the acknowledgement can say so.
            let detail = "clients cannot publish to this topic";
            self.finish_publish(receipt, Refusal::because(Reason::NotAuthorized, detail));
            return;
        };
        if info.principal.role == Role::Anonymous {
            let detail = "anonymous clients have no commands";
            self.finish_publish(receipt, Refusal::because(Reason::NotAuthorized, detail));
            return;
        }
        self.pace.count();
        let reply = match self.reply_to(namespace_reply, message.properties.as_deref()) {
            Ok(reply) => reply,
            Err(reply) => {
                let error = RequestError::new(ErrorCode::InvalidRequest)
                    .with_detail("the response topic is not one a reply can go to");
                self.refuse_command(receipt, message, &reply, &error);
                return;
            }
        };
        if message.retain {
            let error = RequestError::new(ErrorCode::RetainedCommand);
            self.refuse_command(receipt, message, &reply, &error);
            return;
        }
        let Some(command) = hooks.command(topic) else {
            let error = RequestError::new(ErrorCode::UnknownVerb);
            self.refuse_command(receipt, message, &reply, &error);
            return;
        };
        let limit = self.kernel.config.limits.in_flight.into();
        let Some(running_now) = self.session.commands.begin(limit) else {
            // Those of earlier connections, which are not dropped half-way.
            let error = RequestError::new(ErrorCode::TooManyInFlight);
            self.refuse_command(receipt, message, &reply, &error);
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
            write_reply(
                &mut self.codec,
                &reply,
                result.payload,
                &mut self.wire.output,
            );
            self.finish_publish(receipt, result.reason);
            return;
        }
        let Receipt { id, qos, work } = receipt;
        let slot = work.as_ref().map_or_else(Slot::default, InWork::slot);
        self.pending
            .running(id, qos, Arc::clone(&slot), Some(reply));
        let attachment = Arc::clone(&self.attachment);
        let version = self.codec.version();
        // In a task of its own: it is finished even if its connection is not there any more.
        let kernel = Arc::clone(&self.kernel);
        self.kernel.connections.spawn(async move {
            let result = done(running.await);
            kernel.metrics.publishes_refused.count(result.reason);
            // Before the client can hear of it and send the next.
            drop(running_now);
            if let Some(work) = work {
                work.finish(version, result);
            } else {
                // Only this task sets the slot.
                let _ = slot.set(result);
            }
            attachment.signal.wake();
        });
    }

    fn refuse_command(
        &mut self,
        receipt: Receipt,
        message: &Message,
        to: &ReplyTo,
        error: &RequestError,
    ) {
        let refusal = CommandReply::refusal(&message.payload, error);
        write_reply(&mut self.codec, to, refusal.payload, &mut self.wire.output);
        self.finish_publish(receipt, refusal.reason);
    }

    /// Where a command on this topic is answered; `None` if it is not one.
    pub(super) fn reply_of(
        &self,
        topic: &str,
        properties: Option<&MessageProperties>,
    ) -> Option<ReplyTo> {
        let hooks = self.kernel.hooks.load();
        let namespace_reply = hooks.reply_topic(topic)?;
        let reply = self.reply_to(namespace_reply, properties);
        Some(reply.unwrap_or_else(|fallback| fallback))
    }

    /// Where the client wants its reply; an error, where to say that it cannot go there.
    fn reply_to(
        &self,
        namespace_reply: &str,
        properties: Option<&MessageProperties>,
    ) -> Result<ReplyTo, ReplyTo> {
        let asked = properties.and_then(|properties| properties.response_topic.as_deref());
        let reply = |topic: &str| ReplyTo {
            topic: topic.into(),
            correlation: properties.and_then(|properties| properties.correlation_data.clone()),
        };
        match asked {
            None => Ok(reply(namespace_reply)),
            Some(topic) if topic == namespace_reply || self.may_reply_to(topic) => Ok(reply(topic)),
            Some(_) => Err(reply(namespace_reply)),
        }
    }

    fn may_reply_to(&self, topic: &str) -> bool {
        if topic.starts_with('$') {
            return self.kernel.hooks.load().is_reply_topic(topic);
        }
        TopicName::parse(topic, &self.kernel.config.limits.topic()).is_ok()
    }
}
