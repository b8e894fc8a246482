//! Batches of the stream, cut to what a client takes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use partyline_protocol::{Epoch, Seq};

use crate::item::{ReadyItem, Viewing};

/// Bytes of a PUBLISH packet beside its payload: fixed header 5, topic 11, packet id 2, and room
/// for properties: a topic alias and a few subscription identifiers.
pub(crate) const PACKET_OVERHEAD: usize = 64;

/// A stretch of a stream, at hand.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The items, ascending; numbers missing between them fell to retention.
    pub(crate) items: VecDeque<ReadyItem>,
    /// Where the stretch ends; there is nothing more to know up to here.
    pub(crate) upto: Seq,
}

/// Items on their way into one payload.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The JSON of the items.
    pub(crate) items: Vec<Arc<str>>,
    /// The place that they reach.
    pub(crate) seq: Seq,
}

impl Chunk {
    /// Takes items from the front, as long as their JSON, joined by commas, has at most `budget`
    /// bytes and they are at most `limit`. What may not be seen is passed over. An item that alone
    /// is too large is replaced by a note of its place, which goes even where it is too large
    /// itself: without it nothing would ever follow.
    pub(crate) fn pack(
        &mut self,
        from: Seq,
        budget: usize,
        limit: usize,
        viewing: Viewing,
    ) -> Result<Packed, serde_json::Error> {
        let mut packed = Packed {
            items: Vec::new(),
            seq: from,
        };
        let mut bytes = 0;
        while let Some(item) = self.items.front() {
            if item.visible(viewing) {
                if packed.items.len() == limit {
                    return Ok(packed);
                }
                let fits = item.json.len() <= budget;
                let json = if fits {
                    Arc::clone(&item.json)
                } else {
                    item.oversize()?
                };
                let more = json.len() + usize::from(!packed.items.is_empty());
                if !packed.items.is_empty() && bytes + more > budget {
                    return Ok(packed);
                }
                bytes += more;
                packed.items.push(json);
            }
            packed.seq = item.seq;
            self.items.pop_front();
        }
        packed.seq = self.upto.max(packed.seq);
        Ok(packed)
    }

    /// Whether there is anything in it that may be seen.
    pub(crate) fn has_visible(&self, viewing: Viewing) -> bool {
        self.items.iter().any(|item| item.visible(viewing))
    }
}

/// The payload of `$im/inbox`. Written by hand, because the items are JSON already.
pub(crate) fn batch_payload(
    epoch: &Epoch,
    prev: Seq,
    packed: &Packed,
) -> Result<String, serde_json::Error> {
    let epoch = serde_json::to_string(epoch.as_str())?;
    let mut payload = String::with_capacity(batch_frame(&epoch) + packed.bytes());
    // Writing to a string cannot fail.
    let _ = write!(
        payload,
        r#"{{"epoch":{epoch},"prev":{prev},"seq":{},"items":["#,
        packed.seq
    );
    for (index, item) in packed.items.iter().enumerate() {
        if index > 0 {
            payload.push(',');
        }
        payload.push_str(item);
    }
    payload.push_str("]}");
    Ok(payload)
}

impl Packed {
    fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.len() + 1).sum()
    }
}

/// The most bytes that a batch has beside its items: 16 digits for each number.
pub(crate) fn batch_frame(epoch: &str) -> usize {
    r#"{"epoch":"","prev":,"seq":,"items":[]}"#.len() + epoch.len() + 2 * 16
}

#[cfg(test)]
mod tests;
