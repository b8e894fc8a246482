//! What the clients of two people saw, over all connections.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use serde_json::Value;

use super::MESSAGES;
use super::moment::{Kill, Moment};

/// The devices that listen: two of the receiver's and one of the sender's.
pub(super) const LISTENERS: usize = 3;
/// Those of the receiver come first.
const RECEIVERS: usize = 2;

/// The memory of one who sends and of all devices that listen.
pub(super) struct Journal {
    pub(super) from: String,
    pub(super) to: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Numbers that were sent in earlier runs of the server, and in this one.
    sent_before: BTreeSet<u64>,
    sent: BTreeSet<u64>,
    /// Numbers that some device had when the server was last killed.
    committed_before: BTreeSet<u64>,
    /// By number: `(msg_id, conversation seq)` as acknowledged.
    acknowledged: BTreeMap<u64, (u64, u64)>,
    /// For each listener, by stream seq: the item as first delivered. Nothing else is in the
    /// streams, so message n has the place n + 1 in all of them.
    delivered: [BTreeMap<u64, Value>; LISTENERS],
    kinds: Kinds,
}

/// How many messages a kill met in which place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kinds {
    /// Sent, and not committed: new when it was sent again.
    pub(super) lost: usize,
    /// Committed, and not acknowledged: a duplicate when it was sent again.
    pub(super) unacknowledged: usize,
    /// Acknowledged, and not delivered to any device of the receiver.
    pub(super) undelivered: usize,
    /// Delivered to one device of the receiver, and not to the other.
    pub(super) half_delivered: usize,
}

impl Kinds {
    pub(super) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.unacknowledged += other.unacknowledged;
        self.undelivered += other.undelivered;
        self.half_delivered += other.half_delivered;
    }
}

impl Seen {
    /// How many devices of the receiver have a message.
    fn receivers_of(&self, number: u64) -> usize {
        let receivers = self.delivered.iter().take(RECEIVERS);
        receivers
            .filter(|items| items.contains_key(&(number + 1)))
            .count()
    }
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

    pub(super) fn delivered(&self, listener: usize) -> usize {
        self.seen.lock().delivered[listener].len()
    }

    /// A message may have reached the server from now on.
    pub(super) fn send(&self, number: usize) {
        self.seen.lock().sent.insert(number as u64);
    }

    /// A reply came, in whatever order. What was known to be committed is a duplicate with the
    /// same answer, and what was never sent before is none.
    pub(super) fn acknowledge(&self, reply: &Value, kill: &Kill) -> anyhow::Result<()> {
        let mut seen = self.seen.lock();
        if kill.is_chosen() {
            return Ok(());
        }
        let number = reply.get("id").and_then(Value::as_u64).context("no id")?;
        let ok = reply
            .get("ok")
            .with_context(|| format!("refused: {reply}"))?;
        let field = |name: &str| ok.get(name).and_then(Value::as_u64).context("no number");
        let duplicate = ok.get("duplicate").and_then(Value::as_bool);
        let duplicate = duplicate.with_context(|| format!("no duplicate: {reply}"))?;
        let told = (field("msg_id")?, field("seq")?);
        let receivers = seen.receivers_of(number);
        let first = seen.acknowledged.insert(number, told);
        if let Some(first) = first {
            ensure!(
                first == told,
                "{number} was acknowledged as {first:?}, then as {told:?}"
            );
        }
        if seen.sent_before.contains(&number) {
            ensure!(
                duplicate || !(first.is_some() || seen.committed_before.contains(&number)),
                "{number} was committed before and is new: {reply}"
            );
            match (first, duplicate) {
                (None, true) => seen.kinds.unacknowledged += 1,
                (None, false) => seen.kinds.lost += 1,
                (Some(_), _) => {}
            }
        } else {
            ensure!(!duplicate, "{number} was never sent before: {reply}");
        }
        kill.count_acknowledgement();
        if receivers == 0 {
            kill.observe(Moment::AcknowledgedUndelivered);
        }
        Ok(())
    }

    /// A batch came on a connection whose last batch ended at `place`. Returns where this one ends,
    /// `None` if it came too late.
    pub(super) fn deliver(
        &self,
        listener: usize,
        batch: &Value,
        place: Option<u64>,
        kill: &Kill,
    ) -> anyhow::Result<Option<u64>> {
        let mut seen = self.seen.lock();
        let number = |name: &str| batch.get(name).and_then(Value::as_u64).context("no number");
        let (prev, seq) = (number("prev")?, number("seq")?);
        if kill.is_chosen() {
            return Ok(None);
        }
        let last = seen.delivered[listener].keys().next_back();
        let last = last.copied().unwrap_or_default();
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
            let first = seen.delivered[listener]
                .entry(place)
                .or_insert_with(|| item.clone());
            ensure!(first == item, "item {place} changed: {first} became {item}");
        }
        ensure!(
            expected == seq,
            "the batch ends at {expected}, not at {seq}"
        );
        for number in prev..seq {
            if !seen.acknowledged.contains_key(&number) {
                kill.observe(Moment::DeliveredUnacknowledged);
            }
            if seen.receivers_of(number) == 1 {
                kill.observe(Moment::HalfDelivered);
            }
        }
        Ok(Some(seq))
    }

    /// The server was killed: what was sent until now is sent again where it must be.
    pub(super) fn note_kill(&self) {
        let mut seen = self.seen.lock();
        let mut sent = std::mem::take(&mut seen.sent);
        seen.sent_before.append(&mut sent);
        let delivered = seen.delivered.iter().flat_map(BTreeMap::keys);
        seen.committed_before = delivered.map(|place| place - 1).collect();
        let receivers = seen.acknowledged.keys().map(|n| seen.receivers_of(*n));
        let undelivered = receivers.filter(|count| *count == 0).count();
        let half = (0..MESSAGES as u64).filter(|n| seen.receivers_of(*n) == 1);
        let half_delivered = half.count();
        seen.kinds.undelivered += undelivered;
        seen.kinds.half_delivered += half_delivered;
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.seen.lock().kinds
    }

    /// Every device got every message once, in order, without a gap.
    pub(super) fn check_deliveries(&self) -> anyhow::Result<()> {
        let delivered = self.seen.lock().delivered.clone();
        for items in delivered {
            let items: Vec<Value> = items.into_values().collect();
            self.check_store(&items).context("what was delivered")?;
        }
        Ok(())
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
