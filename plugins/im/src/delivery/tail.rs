//! The newest items of a stream, in memory while they are on their way to somebody.

use std::collections::VecDeque;

use partyline_protocol::Seq;

use super::pack::Chunk;
use crate::item::ReadyItem;

/// Items beyond either bound are forgotten, the oldest first: whoever is that far behind reads the
/// store.
const MAX_ITEMS: usize = 128;
const MAX_BYTES: usize = 64 * 1024;

/// The last items, without gaps.
#[derive(Debug, Default)]
pub(super) struct Tail {
    items: VecDeque<ReadyItem>,
    bytes: usize,
    /// The newest place that was announced.
    head: Seq,
}

impl Tail {
    /// Adds items that were just committed, in their order and without gaps between them.
    pub(super) fn push(&mut self, items: Vec<ReadyItem>) {
        for item in items {
            if item.seq <= self.head {
                continue;
            }
            if item.seq != self.head.next() {
                // Somebody else wrote in between: the store has it.
                self.clear();
            }
            self.head = item.seq;
            self.bytes += item.json.len();
            self.items.push_back(item);
        }
        while self.items.len() > MAX_ITEMS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.items.pop_front() else {
                break;
            };
            self.bytes -= oldest.json.len();
        }
    }

    /// Something up to `head` was committed that can't be had from here.
    pub(super) fn skip_to(&mut self, head: Seq) {
        self.clear();
        self.head = self.head.max(head);
    }

    /// Gives the memory back. What was announced stays known.
    pub(super) fn clear(&mut self) {
        self.items = VecDeque::new();
        self.bytes = 0;
    }

    /// The newest place that was announced; 0 before the first.
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    /// What follows `place`, if all of that is here.
    pub(super) fn after(&self, place: Seq) -> Option<Chunk> {
        let oldest = self.items.front()?;
        if place >= self.head || oldest.seq > place.next() {
            return None;
        }
        let items = self
            .items
            .iter()
            .filter(|item| item.seq > place)
            .cloned()
            .collect();
        Some(Chunk {
            items,
            upto: self.head,
        })
    }
}
