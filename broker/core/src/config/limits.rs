use partyline_plugin::protocol::TopicLimits;
use serde::{Deserialize, Serialize};

/// `[limits]`: what one client may use. Each refusal says which limit it met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest packet, bytes.
    pub packet_bytes: u32,
    /// Longest topic name or filter, bytes.
    pub topic_bytes: usize,
    /// Most levels of a topic, at most 1024.
    pub topic_levels: usize,
    /// Topic aliases of a connection, each way (MQTT 5); 0 = none.
    pub topic_aliases: u16,
    /// Subscriptions of a session.
    pub subscriptions: usize,
    /// Sessions of an app that wait for their client. One more ends with its connection.
    pub detached_sessions: usize,
    /// Unacknowledged QoS 1 and 2 messages, each way.
    pub in_flight: u16,
    /// Messages waiting for one session. When full, expired ones go, then the oldest of QoS 0; else
    /// the newest is dropped.
    pub queued_messages: usize,
    /// Bytes waiting for one session, overhead included, and as many again unacknowledged.
    pub queued_bytes: usize,
    /// Commands a second of one device, on average. Above it, its connection is read slower.
    pub commands_per_second: u32,
    /// Commands that may come at once before that.
    pub command_burst: u32,
    /// Retained messages of an app.
    pub retained_messages: usize,
    /// Bytes of an app's retained messages, overhead included.
    pub retained_bytes: usize,
    /// Open connections, all listeners together.
    pub connections: usize,
    /// A command that takes longer closes its connection unacknowledged, seconds.
    pub command_timeout: u16,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            packet_bytes: 256 * 1024,
            topic_bytes: 1024,
            topic_levels: 32,
            topic_aliases: 16,
            subscriptions: 1024,
            detached_sessions: 100_000,
            in_flight: 100,
            queued_messages: 1000,
            queued_bytes: 1024 * 1024,
            commands_per_second: 20,
            command_burst: 100,
            retained_messages: 100_000,
            retained_bytes: 128 * 1024 * 1024,
            connections: 1_000_000,
            command_timeout: 10,
        }
    }
}

impl LimitsConfig {
    pub(crate) fn topic(&self) -> TopicLimits {
        TopicLimits {
            max_bytes: self.topic_bytes,
            max_levels: self.topic_levels,
        }
    }
}
