//! `$im/inbox`, read as a client reads it: by the names in the contract.

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    pub(crate) epoch: String,
    pub(crate) prev: u64,
    pub(crate) seq: u64,
    pub(crate) items: Vec<Value>,
}

impl Batch {
    pub(crate) fn parse(json: &Value) -> anyhow::Result<Self> {
        Self::deserialize(json).with_context(|| format!("no batch: {json}"))
    }

    /// From where to where it goes.
    pub(crate) fn span(&self) -> (u64, u64) {
        (self.prev, self.seq)
    }

    /// The texts of its messages.
    pub(crate) fn texts(&self) -> Vec<&str> {
        texts(&self.items)
    }
}

/// The texts of messages; `?` for what is none.
pub(crate) fn texts(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["msg_body"]["text"].as_str().unwrap_or("?"))
        .collect()
}
