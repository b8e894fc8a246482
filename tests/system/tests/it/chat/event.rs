//! What passes between a test and a client.

use serde::{Deserialize, Serialize};

/// What a client is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Subscribe at QoS 1.
    Subscribe { topic: String },
    /// Publish at QoS 1.
    Publish { topic: String, payload: String },
}

/// What a client saw, in its library's words as far as they are numbers of MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// CONNACK, also a refusal.
    Connected { code: u8 },
    /// The connection ended; 0 = the broker gave no reason.
    Disconnected { reason: u8 },
    /// SUBACK.
    Subscribed { codes: Vec<u8> },
    /// PUBACK.
    Acknowledged { reason: u8 },
    /// PUBLISH.
    Message {
        topic: String,
        payload: String,
        qos: u8,
    },
}
