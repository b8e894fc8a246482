//! What two clients saw, over all connections.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use serde_json::Value;

use super::MESSAGES;

/// A sender's and a receiver's memory.
pub(super) struct Journal {
    pub(super) from: String,
    pub(super) to: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By number: `(msg_id, conversation seq)` as acknowledged.
    acknowledged: BTreeMap<u64, (u64, u64)>,
    /// By stream seq: the item as first delivered.
    delivered: BTreeMap<u64, Value>,
}

impl Journal {
    pub(super) fn new(from: String, to: String) -> Self {
        Self {
            from,
            to,
            seen: Mutex::default(),
        }
    }

    /// How many messages from the first on are acknowledged without a gap.
    pub(super) fn acknowledged(&self) -> usize {
        let seen = self.seen.lock();
        seen.acknowledged
            .keys()
            .zip(0..)
            .take_while(|(number, place)| *number == place)
            .count()
    }

    pub(super) fn delivered(&self) -> usize {
        self.seen.lock().delivered.len()
    }

    /// A reply came, in whatever order. A message acknowledged before is so with the same answer.
    pub(super) fn acknowledge(&self, reply: &Value) -> anyhow::Result<()> {
        let mut seen = self.seen.lock();
        let number = reply.get("id").and_then(Value::as_u64).context("no id")?;
        let ok = reply
            .get("ok")
            .with_context(|| format!("refused: {reply}"))?;
        let field = |name: &str| ok.get(name).and_then(Value::as_u64).context("no number");
        let told = (field("msg_id")?, field("seq")?);
        let first = *seen.acknowledged.entry(number).or_insert(told);
        ensure!(
            first == told,
            "{number} was acknowledged as {first:?}, then as {told:?}"
        );
        Ok(())
    }

    /// A batch came on a connection whose last batch ended at `place`. Returns where this one ends.
    pub(super) fn deliver(&self, batch: &Value, place: Option<u64>) -> anyhow::Result<u64> {
        let mut seen = self.seen.lock();
        let number = |name: &str| batch.get(name).and_then(Value::as_u64).context("no number");
        let (prev, seq) = (number("prev")?, number("seq")?);
        let last = seen
            .delivered
            .keys()
            .next_back()
            .copied()
            .unwrap_or_default();
        // A cursor that a kill lost may lie further back, never further on.
        ensure!(
            place.map_or(prev <= last, |place| prev == place),
            "a gap before {batch}"
        );
        let items = batch
            .get("items")
            .and_then(Value::as_array)
            .context("no items")?;
        let mut expected = prev;
        for item in items {
            expected += 1;
            let place = item.get("seq").and_then(Value::as_u64).context("no seq")?;
            ensure!(place == expected, "item {place} instead of {expected}");
            let first = seen.delivered.entry(place).or_insert_with(|| item.clone());
            ensure!(first == item, "item {place} changed: {first} became {item}");
        }
        ensure!(
            expected == seq,
            "the batch ends at {expected}, not at {seq}"
        );
        Ok(seq)
    }

    /// A connection that ended before its work was done: only for the kill.
    #[expect(clippy::unused_self, reason = "reads as a sentence")]
    pub(super) fn interrupted(&self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        match ended {
            Err(error) if !is_lost_connection(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The receiver got every message once, in order, without a gap.
    pub(super) fn check_deliveries(&self) -> anyhow::Result<()> {
        let items: Vec<Value> = self.seen.lock().delivered.values().cloned().collect();
        self.check_store(&items).context("what was delivered")
    }

    /// A stream holds every message once, in order, without a gap, as it was acknowledged.
    pub(super) fn check_store(&self, items: &[Value]) -> anyhow::Result<()> {
        let seen = self.seen.lock();
        ensure!(
            seen.acknowledged.len() == MESSAGES,
            "not all was acknowledged"
        );
        ensure!(
            items.len() == MESSAGES,
            "{} items instead of {MESSAGES}",
            items.len()
        );
        for (n, (item, acknowledged)) in items.iter().zip(seen.acknowledged.values()).enumerate() {
            let number = |name: &str| item.get(name).and_then(Value::as_u64).context("no number");
            let text = item.pointer("/msg_body/text").and_then(Value::as_str);
            ensure!(text == Some(n.to_string().as_str()), "{n} is {text:?}");
            let place = n as u64 + 1;
            ensure!(number("seq")? == place, "stream place of {n}: {item}");
            ensure!(
                number("msg_seq")? == place,
                "conversation place of {n}: {item}"
            );
            let told = (number("msg_id")?, number("msg_seq")?);
            ensure!(
                told == *acknowledged,
                "{n} was acknowledged as {acknowledged:?}: {item}"
            );
        }
        Ok(())
    }
}

/// The client's side of a killed server: its socket closed, or would take nothing more.
fn is_lost_connection(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    text.contains("the connection was closed") || text.contains("closed the connection")
}
