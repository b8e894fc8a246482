//! `[plugins.im]`.

use partyline_protocol::MessageLimits;
use serde::{Deserialize, Serialize};

use crate::store::Kept;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a sent message answers its repetition, at the least.
const MIN_HISTORY_DAYS: u32 = 7;

/// The plugin's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ImConfig {
    /// Messages that a user may send in a minute; 0 = no limit. Repetitions don't count.
    pub sends_per_minute: u32,
    /// Largest `msg_body`, in bytes of its JSON text.
    pub message_body_bytes: usize,
    /// Messages of each conversation that are kept for offline delivery; those that are only for
    /// online devices don't count.
    pub inbox_messages: u32,
    /// Days for which the items of a stream are kept for offline delivery.
    pub inbox_days: u32,
    /// Days for which messages are kept for the history; also how long a `client_msg_id` is known.
    pub history_days: u32,
    /// Sends that may wait for their transaction; more are refused. What waits of one is bounded:
    /// `message_body_bytes`, 2 KiB of other parts, and names.
    pub queue: usize,
    /// Most messages of one transaction.
    pub batch: usize,
}

impl Default for ImConfig {
    fn default() -> Self {
        Self {
            sends_per_minute: 60,
            message_body_bytes: MessageLimits::default().body_bytes,
            inbox_messages: 100,
            inbox_days: 15,
            history_days: 60,
            queue: 4096,
            batch: 256,
        }
    }
}

/// A value that does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidConfig {
    #[error("{key} is {value}, the least is {min}")]
    TooSmall {
        key: &'static str,
        value: u64,
        min: u64,
    },
    #[error("{key} is {value}, the most is {max}")]
    TooLarge {
        key: &'static str,
        value: u64,
        max: u64,
    },
    #[error("history_days is {history}, less than inbox_days ({inbox}) or {MIN_HISTORY_DAYS}")]
    HistoryTooShort { history: u32, inbox: u32 },
}

/// The largest body that is sure to fit, with all that stands beside it, into the batch of a client
/// that asks for no larger one.
const MAX_BODY_BYTES: usize = 4096;

impl ImConfig {
    pub(crate) fn validate(&self) -> Result<(), InvalidConfig> {
        let least = [
            ("queue", self.queue as u64, 1),
            ("batch", self.batch as u64, 1),
            ("inbox_messages", u64::from(self.inbox_messages), 1),
            ("inbox_days", u64::from(self.inbox_days), 1),
            ("message_body_bytes", self.message_body_bytes as u64, 2),
        ];
        for (key, value, min) in least {
            if value < min {
                return Err(InvalidConfig::TooSmall { key, value, min });
            }
        }
        if self.message_body_bytes > MAX_BODY_BYTES {
            return Err(InvalidConfig::TooLarge {
                key: "message_body_bytes",
                value: self.message_body_bytes as u64,
                max: MAX_BODY_BYTES as u64,
            });
        }
        if self.history_days < MIN_HISTORY_DAYS.max(self.inbox_days) {
            let (history, inbox) = (self.history_days, self.inbox_days);
            return Err(InvalidConfig::HistoryTooShort { history, inbox });
        }
        Ok(())
    }

    pub(crate) fn message_limits(&self) -> MessageLimits {
        MessageLimits {
            body_bytes: self.message_body_bytes,
            ..MessageLimits::default()
        }
    }

    /// What of a stream is still delivered at `now_ms`.
    pub(crate) fn kept(&self, now_ms: u64) -> Kept {
        Kept {
            per_conversation: self.inbox_messages,
            since_ms: now_ms.saturating_sub(u64::from(self.inbox_days) * DAY_MS),
        }
    }

    /// Messages accepted before this are forgotten.
    pub(crate) fn history_since(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(u64::from(self.history_days) * DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_outlasts_the_inbox() {
        assert_eq!(ImConfig::default().validate(), Ok(()));
        let config = ImConfig {
            history_days: 6,
            inbox_days: 1,
            ..ImConfig::default()
        };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "history_days is 6, less than inbox_days (1) or 7"
        );
        let large = ImConfig {
            message_body_bytes: 4097,
            ..ImConfig::default()
        };
        let error = large.validate().unwrap_err().to_string();
        assert_eq!(error, "message_body_bytes is 4097, the most is 4096");
        assert!(
            ImConfig {
                batch: 0,
                ..ImConfig::default()
            }
            .validate()
            .is_err()
        );
    }
}
