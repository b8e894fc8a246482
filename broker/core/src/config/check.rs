//! What the types of the configuration cannot say.

use partyline_plugin::protocol::TopicName;

use super::BrokerConfig;
use super::mqtt::is_origin;

/// Room for a CONNECT with names and a password.
const LEAST_PACKET_BYTES: u32 = 512;

/// Levels are walked one inside the other, on a stack that must hold them.
const MOST_TOPIC_LEVELS: u32 = 1024;

/// A value that nothing could work with. Keys are named from the top, such as `limits.in_flight`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It must not be 0.
    #[error("must be above 0")]
    Zero {
        /// Which.
        key: &'static str,
    },
    /// It must not be below a fixed value.
    #[error("{value} is below the least, {least}")]
    TooSmall {
        /// Which.
        key: &'static str,
        /// Its value.
        value: u32,
        /// The least.
        least: u32,
    },
    /// It must not be above a fixed value.
    #[error("{value} is above the most, {most}")]
    TooLarge {
        /// Which.
        key: &'static str,
        /// Its value.
        value: u64,
        /// The most.
        most: u32,
    },
    /// It must not be below another one.
    #[error("{value} is below {least}, which is {bound}")]
    Below {
        /// Which.
        key: &'static str,
        /// Its value.
        value: u64,
        /// The other one.
        least: &'static str,
        /// The other one's value.
        bound: u64,
    },
    /// It is not what it must be.
    #[error("{problem}")]
    Malformed {
        /// Which.
        key: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// It must be a topic name of the app's own.
    #[error("must be a topic without wildcards that does not begin with $")]
    NoPlainTopic {
        /// Which.
        key: &'static str,
    },
    /// It needs another one that is not set.
    #[error("needs {needs}, which is not set")]
    Needs {
        /// Which.
        key: &'static str,
        /// The other one.
        needs: &'static str,
    },
}

impl Unusable {
    /// The key that is at fault.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Zero { key }
            | Self::TooSmall { key, .. }
            | Self::TooLarge { key, .. }
            | Self::Below { key, .. }
            | Self::Malformed { key, .. }
            | Self::NoPlainTopic { key }
            | Self::Needs { key, .. } => key,
        }
    }
}

impl BrokerConfig {
    /// Whether a broker can work with these values; [`Builder::start`](crate::Builder::start)
    /// checks it again.
    pub fn check(&self) -> Result<(), Unusable> {
        let (mqtt, limits) = (&self.mqtt, &self.limits);
        for (key, value) in [
            ("mqtt.max_keep_alive", mqtt.max_keep_alive.into()),
            ("mqtt.connect_timeout", mqtt.connect_timeout.into()),
            ("limits.in_flight", limits.in_flight.into()),
            ("limits.command_timeout", limits.command_timeout.into()),
            ("limits.topic_bytes", limits.topic_bytes),
            ("limits.topic_levels", limits.topic_levels),
            ("limits.connections", limits.connections),
            ("http.request_timeout", self.http.request_timeout.into()),
        ] {
            if value == 0 {
                return Err(Unusable::Zero { key });
            }
        }
        if limits.packet_bytes < LEAST_PACKET_BYTES {
            return Err(Unusable::TooSmall {
                key: "limits.packet_bytes",
                value: limits.packet_bytes,
                least: LEAST_PACKET_BYTES,
            });
        }
        if limits.topic_levels > MOST_TOPIC_LEVELS as usize {
            return Err(Unusable::TooLarge {
                key: "limits.topic_levels",
                value: limits.topic_levels as u64,
                most: MOST_TOPIC_LEVELS,
            });
        }
        let packet = ("limits.packet_bytes", u64::from(limits.packet_bytes));
        let told = ("mqtt.server_keep_alive", u64::from(mqtt.server_keep_alive));
        for (key, value, (least, bound)) in [
            ("limits.queued_bytes", limits.queued_bytes as u64, packet),
            (
                "limits.retained_bytes",
                limits.retained_bytes as u64,
                packet,
            ),
            ("mqtt.max_keep_alive", u64::from(mqtt.max_keep_alive), told),
        ] {
            if value < bound {
                return Err(Unusable::Below {
                    key,
                    value,
                    least,
                    bound,
                });
            }
        }
        let token = self.http.admin_token.as_ref();
        if token.is_some_and(|token| !token.is_usable()) {
            return Err(Unusable::Malformed {
                key: "http.admin_token",
                problem: "must have at least 16 characters, all of them visible ASCII",
            });
        }
        if !mqtt.ws_origins.iter().all(|origin| is_origin(origin)) {
            return Err(Unusable::Malformed {
                key: "mqtt.ws_origins",
                problem: "each must be as a browser says it, such as https://app.example, or *",
            });
        }
        if let Some(topic) = &mqtt.response_information {
            let topic = TopicName::parse(topic, &limits.topic());
            if topic.is_err() || topic.is_ok_and(|topic| topic.is_reserved()) {
                let key = "mqtt.response_information";
                return Err(Unusable::NoPlainTopic { key });
            }
        }
        if mqtt.tls_listen.is_some() && mqtt.tls.is_none() {
            return Err(Unusable::Needs {
                key: "mqtt.tls_listen",
                needs: "[mqtt.tls] with cert and key",
            });
        }
        Ok(())
    }
}
