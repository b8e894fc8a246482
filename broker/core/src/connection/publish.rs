//! PUBLISH from a client.

use std::sync::Arc;

use bytes::Bytes;
use partyline_plugin::protocol::TopicName;
use partyline_plugin::{CommandReply, Message, Origin, Qos, Reason, Refusal, Verdict};

use super::Connection;
use crate::codec::check_response_topic;
use crate::packet::{ProtocolError, Publish};
use crate::router::Unrouted;
use crate::session::{Arrival, InWork};
use crate::store::Ticket;

/// QoS 2 messages that a 3.x client may leave unreleased. It cannot be told of a limit, so this is
/// far above the window that MQTT 5 clients are told.
const UNRELEASED_V3: usize = 8192;

/// What is acknowledged when a PUBLISH is done.
pub(super) struct Receipt {
    pub(super) id: u16,
    pub(super) qos: Qos,
    /// At QoS 2.
    pub(super) work: Option<InWork>,
}

impl Connection {
    pub(super) async fn on_publish(&mut self, publish: Publish) -> Result<(), ProtocolError> {
        if publish.has_subscription_id {
            let detail = "subscription identifier from a client";
            return Err(ProtocolError::new(Reason::ProtocolError, detail));
        }
        let limits = &self.kernel.config.limits;
        let (alias, max) = (publish.topic_alias, limits.topic_aliases);
        let topic = self
            .aliases
            .resolve(&publish.topic, alias, max, &limits.topic())?;
        let (id, qos) = (publish.id, publish.qos);
        let mut work = None;
        if qos == Qos::ExactlyOnce {
            work = self.receive(&publish, &topic)?;
            if work.is_none() {
                return Ok(());
            }
        }
        let receipt = Receipt { id, qos, work };
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
        let why = match hooks.filter_publish(&info, &mut message).await {
            Verdict::Next | Verdict::Accept => {
                if message.topic.as_str().starts_with('$') {
                    self.on_command(receipt, &message).await;
                    return Ok(());
                }
                return self.route(receipt, message);
            }
            Verdict::Consume => Reason::Success.into(),
            Verdict::Reject(why) => explained(why),
            Verdict::Disconnect(why) => {
                let detail = why.message.unwrap_or_else(|| "refused by a plugin".into());
                return Err(ProtocolError::new(why.reason, detail));
            }
        };
        self.finish_publish(receipt, why);
        Ok(())
    }

    /// The work that a QoS 2 message makes; none if it has come before, since it is not handled
    /// again ([MQTT-4.3.3-10]). QoS 1 needs no bound here: while its acknowledgements wait, nothing
    /// is read.
    fn receive(
        &mut self,
        publish: &Publish,
        topic: &TopicName,
    ) -> Result<Option<InWork>, ProtocolError> {
        let (id, qos) = (publish.id, publish.qos);
        if self.pending.has_qos2(id) {
            return Ok(None);
        }
        let limit = if self.is_v5() {
            self.kernel.config.limits.in_flight.into()
        } else {
            UNRELEASED_V3
        };
        match self.session.receive(id, limit) {
            Arrival::New(work) => return Ok(Some(work)),
            Arrival::InWork(slot) => {
                let reply = self.reply_of(topic.as_str(), publish.properties.as_deref());
                self.pending.running(id, qos, slot, reply);
            }
            Arrival::Done => {
                // It may be on its way to the disk still.
                let ticket = self.kernel.journal.latest();
                self.pending
                    .storing(id, qos, Reason::Success.into(), ticket);
            }
            Arrival::TooMany => {
                let detail = format!("more than {limit} unreleased messages");
                return Err(ProtocolError::new(Reason::ReceiveMaximumExceeded, detail));
            }
        }
        Ok(None)
    }

    /// Retains and routes a plain message. It is acknowledged when all of it that is to be stored
    /// is on disk.
    fn route(&mut self, receipt: Receipt, mut message: Message) -> Result<(), ProtocolError> {
        // What is kept longer than a write must not pin the read buffer.
        message.payload = bytes::Bytes::copy_from_slice(&message.payload);
        let journal = Arc::clone(&self.kernel.journal);
        // At QoS 2 the message and its packet id are stored together: with one and not the other it
        // would come twice, or not at all.
        let _together = (receipt.qos == Qos::ExactlyOnce).then(|| journal.together());
        let limits = &self.kernel.config.limits;
        let space = &self.session.space;
        let told = self.kernel.events.about(&self.session.key.app, &message);
        match space.publish(limits, message, Some(&self.session)) {
            Ok(ticket) => {
                self.kernel.events.published(Some(&self.info()), told);
                self.acknowledge(receipt, Reason::Success.into(), ticket);
            }
            Err(unrouted) => {
                tracing::debug!(session.device = %self.session.key, %unrouted, "a message was refused");
                // A 3.x client cannot be told; it sends again what is not acknowledged.
                let untold = !self.is_v5() && receipt.qos != Qos::AtMostOnce;
                if untold && unrouted == Unrouted::Busy {
                    let detail = unrouted.to_string();
                    return Err(ProtocolError::new(Reason::QuotaExceeded, detail));
                }
                let why = Refusal::because(Reason::QuotaExceeded, unrouted.to_string());
                self.acknowledge(receipt, why, None);
            }
        }
        Ok(())
    }

    /// Queues the acknowledgement and, at QoS 2, remembers that the message is done.
    pub(super) fn finish_publish(&mut self, receipt: Receipt, why: impl Into<Refusal>) {
        self.acknowledge(receipt, why.into(), None);
    }

    /// The same, for when the ticket's changes are on disk.
    fn acknowledge(&mut self, receipt: Receipt, why: Refusal, ticket: Option<Ticket>) {
        self.kernel.metrics.publishes_refused.count(why.reason);
        let Receipt { id, qos, work } = receipt;
        let own = work.and_then(|work| {
            let (payload, reason) = (Bytes::new(), why.reason);
            work.finish(self.codec.version(), CommandReply { payload, reason })
        });
        match ticket.max(own) {
            Some(ticket) => self.pending.storing(id, qos, why, ticket),
            None => self.pending.done(id, qos, why),
        }
    }
}

/// Says why where the hooks did not.
fn explained(why: Refusal) -> Refusal {
    match why.reason {
        Reason::NotAuthorized if why.message.is_none() => {
            Refusal::because(why.reason, "publishing to this topic is not allowed")
        }
        _ => why,
    }
}
