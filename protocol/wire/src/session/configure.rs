use serde::{Deserialize, Serialize};

use super::BatchBytes;

/// What moves the cursor of the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AckMode {
    /// The PUBACK of a batch.
    #[default]
    Auto,
    /// Only `$im/inbox/ack`, for clients that first write to their own disk.
    Explicit,
}

/// `$im/session/configure`: how this connection gets its stream. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// `true` starts delivery without a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver: Option<bool>,
    /// What moves the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<AckMode>,
    /// Largest batch, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_batch: Option<BatchBytes>,
    /// `true` gives a new device the kept history as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roaming: Option<bool>,
}

/// Reply to [`Configure`]: the values now in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Whether the stream is delivered on this connection.
    pub deliver: bool,
    /// What moves the cursor.
    pub ack: AckMode,
    /// Largest batch, in bytes. The client's Maximum Packet Size may still lower it.
    pub max_batch: BatchBytes,
    /// Whether a new device gets the kept history.
    pub roaming: bool,
}

impl Configured {
    /// These values with those that `change` names.
    #[must_use]
    pub fn with(&self, change: &Configure) -> Self {
        Self {
            deliver: change.deliver.unwrap_or(self.deliver),
            ack: change.ack.unwrap_or(self.ack),
            max_batch: change.max_batch.unwrap_or(self.max_batch),
            roaming: change.roaming.unwrap_or(self.roaming),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays() {
        let change: Configure = serde_json::from_str(r#"{"max_batch":1024}"#).unwrap();
        let now = Configured {
            deliver: true,
            ..Configured::default()
        }
        .with(&change);
        assert!(now.deliver);
        assert_eq!(now.max_batch, BatchBytes::MIN);
        for bad in [
            r#"{"max_batch":1023}"#,
            r#"{"max_batch":65537}"#,
            r#"{"ack":"never"}"#,
        ] {
            assert!(serde_json::from_str::<Configure>(bad).is_err(), "{bad}");
        }
    }
}
