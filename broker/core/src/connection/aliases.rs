//! Topic aliases from a client (MQTT 5 §3.3.2.3.4).

use std::collections::HashMap;
use std::num::NonZeroU16;

use partyline_plugin::Reason;
use partyline_plugin::protocol::{TopicLimits, TopicName};

use crate::packet::ProtocolError;

/// The topics of a connection's messages. Holds no memory before the first.
#[derive(Debug, Default)]
pub(super) struct TopicAliases {
    #[expect(
        clippy::box_collection,
        reason = "an idle connection has no room for an empty map"
    )]
    given: Option<Box<HashMap<NonZeroU16, TopicName>>>,
    /// Of the last message: most clients publish many to one topic.
    last: Option<TopicName>,
}

impl TopicAliases {
    /// The topic of a PUBLISH, from its topic name and its alias, of which at most `max` may be
    /// used. What a client sets here is remembered.
    pub(super) fn resolve(
        &mut self,
        topic: &str,
        alias: Option<NonZeroU16>,
        max: u16,
        limits: &TopicLimits,
    ) -> Result<TopicName, ProtocolError> {
        if let Some(alias) = alias.filter(|alias| alias.get() > max) {
            // [MQTT-3.3.2-9]
            let detail = format!("topic alias {alias} above the Topic Alias Maximum, {max}");
            return Err(ProtocolError::new(Reason::TopicAliasInvalid, detail));
        }
        if topic.is_empty() {
            let Some(alias) = alias else {
                let detail = "neither a topic nor a topic alias";
                return Err(ProtocolError::new(Reason::ProtocolError, detail));
            };
            let topic = self.given.as_ref().and_then(|topics| topics.get(&alias));
            return topic.cloned().ok_or_else(|| {
                let detail = format!("topic alias {alias} has no topic on this connection");
                ProtocolError::new(Reason::ProtocolError, detail)
            });
        }
        let known = self.last.as_ref().filter(|last| last.as_str() == topic);
        let topic = if let Some(known) = known {
            known.clone()
        } else {
            let topic = TopicName::parse(topic, limits)
                .map_err(|error| ProtocolError::new(Reason::TopicNameInvalid, error.to_string()))?;
            self.last.insert(topic).clone()
        };
        if let Some(alias) = alias {
            let topics = self.given.get_or_insert_default();
            topics.insert(alias, topic.clone());
        }
        Ok(topic)
    }
}
