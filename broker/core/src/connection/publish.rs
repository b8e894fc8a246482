//! PUBLISH from a client.

use std::sync::Arc;

use partyline_plugin::protocol::TopicName;
use partyline_plugin::{Message, Origin, ProtocolVersion, Qos, Reason, Verdict};

use super::Connection;
use crate::codec::check_response_topic;
use crate::packet::{ProtocolError, Publish};

impl Connection {
    pub(super) async fn on_publish(&mut self, publish: Publish) -> Result<(), ProtocolError> {
        if publish.has_topic_alias {
            let detail = "topic alias above the Topic Alias Maximum, which is 0";
            return Err(ProtocolError::new(Reason::TopicAliasInvalid, detail));
        }
        if publish.has_subscription_id {
            let detail = "subscription identifier from a client";
            return Err(ProtocolError::new(Reason::ProtocolError, detail));
        }
        if publish.topic.is_empty() {
            let detail = "neither a topic nor a topic alias";
            return Err(ProtocolError::new(Reason::ProtocolError, detail));
        }
        let (id, qos) = (publish.id, publish.qos);
        if qos == Qos::ExactlyOnce {
            if self.is_repeated(id) {
                return Ok(());
            }
            self.check_unreleased()?;
        }
        let limits = self.kernel.config.limits.topic();
        let topic = match TopicName::parse(&publish.topic, &limits) {
            Ok(topic) => topic,
            Err(error) => {
                return Err(ProtocolError::new(
                    Reason::TopicNameInvalid,
                    error.to_string(),
                ));
            }
        };
        if let Some(properties) = &publish.properties
            && !topic.is_reserved()
        {
            // A command can be answered: it says what is wrong in its reply.
            check_response_topic(properties)?;
        }
        let mut message = Message::new(topic, publish.payload, Origin::Client);
        message.qos = qos;
        message.retain = publish.retain;
        message.properties = publish.properties;
        let hooks = self.kernel.hooks.load_full();
        let info = self.info();
        let reason = match hooks.filter_publish(&info, &mut message).await {
            Verdict::Next | Verdict::Accept => {
                if message.topic.as_str().starts_with('$') {
                    self.on_command(id, &message).await;
                    return Ok(());
                }
                self.route(message).await
            }
            Verdict::Consume => Reason::Success,
            Verdict::Reject(reason) => reason,
            Verdict::Disconnect(reason) => {
                return Err(ProtocolError::new(reason, "refused by a plugin"));
            }
        };
        self.finish_publish(id, qos, reason);
        Ok(())
    }

    /// A QoS 2 message that has come before: it is not handled again ([MQTT-4.3.3-10]).
    fn is_repeated(&mut self, id: u16) -> bool {
        if self.pending.has_qos2(id) {
            return true;
        }
        let received = self.session.state().received.contains(&id);
        if received {
            self.pending.done(id, Qos::ExactlyOnce, Reason::Success);
        }
        received
    }

    /// A client that releases no QoS 2 message may not begin ever more of them. QoS 1 needs no
    /// check: while its acknowledgements wait, nothing is read.
    fn check_unreleased(&self) -> Result<(), ProtocolError> {
        let limit = self.kernel.config.limits.in_flight;
        if self.is_v5() && self.session.state().received.len() >= usize::from(limit) {
            let detail = format!("more than {limit} unreleased messages");
            return Err(ProtocolError::new(Reason::ReceiveMaximumExceeded, detail));
        }
        Ok(())
    }

    /// Retains and routes a plain message.
    async fn route(&mut self, mut message: Message) -> Reason {
        // What is kept longer than a write must not pin the read buffer.
        message.payload = bytes::Bytes::copy_from_slice(&message.payload);
        let limits = &self.kernel.config.limits;
        let space = &self.session.space;
        match space.publish(limits, message, Some(&self.session)).await {
            Ok(()) => Reason::Success,
            Err(full) => {
                tracing::info!(session.device = %self.session.key, %full, "retained message refused");
                Reason::QuotaExceeded
            }
        }
    }

    /// Queues the acknowledgement and, at QoS 2, remembers that the message is done.
    pub(super) fn finish_publish(&mut self, id: u16, qos: Qos, reason: Reason) {
        if qos == Qos::ExactlyOnce && self.frees_at_pubrel(reason) {
            self.session.state().received.insert(id);
        }
        self.pending.done(id, qos, reason);
    }

    /// MQTT 5: a PUBREC with an error frees the packet id at once. 3.1.1 knows no such PUBREC.
    pub(super) fn frees_at_pubrel(&self, reason: Reason) -> bool {
        self.codec.version() != ProtocolVersion::V5 || !reason.is_error()
    }
}

impl crate::kernel::Kernel {
    /// Publishes a will in its session's app.
    pub(crate) async fn publish_will(
        &self,
        session: &Arc<crate::session::Session>,
        will: crate::session::WillMessage,
    ) {
        let (limits, mut message) = (&self.config.limits, will.message);
        if let Err(full) = session.space.publish(limits, message.clone(), None).await {
            tracing::info!(session.device = %session.key, %full, "will published, not retained");
            message.retain = false;
            // What is not retained is not refused.
            let _ = session.space.publish(limits, message, None).await;
        }
    }
}
