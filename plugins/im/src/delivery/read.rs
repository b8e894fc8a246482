//! Finding what follows a place: in the line, or in the store.

use partyline_protocol::{Member, Seq};

use super::Deliveries;
use super::inbox::Sending;
use super::pack::Chunk;
use crate::item::{ReadyItem, Viewing};
use crate::store::{self, Range, StreamId};

/// Items that one query reads. The largest batch holds more small ones than this, but a chunk of
/// large ones must not fill the memory.
const PAGE: u32 = 100;

/// Places that one query looks at, so that it stays short where retention hides a lot.
const WINDOW: u64 = 2000;

impl Deliveries {
    /// What follows the place that was sent last; `None` if nothing does.
    pub(super) async fn chunk_after(
        &self,
        owner: &Member,
        sending: &Sending,
        viewing: Viewing,
    ) -> store::Result<Option<Chunk>> {
        let (recent, announced) = match self.lines.get(owner) {
            Some(line) => (line.tail.after(sending.prev), line.tail.head()),
            None => (None, Seq::ZERO),
        };
        if recent.is_some() {
            return Ok(recent);
        }
        let head = sending.head.max(announced);
        if sending.prev >= head {
            return Ok(None);
        }
        self.read(
            owner,
            sending.stream,
            Range {
                after: sending.prev,
                upto: head,
            },
            viewing,
        )
        .await
        .map(Some)
    }

    /// Reads the store: the first items of the range that may be seen, or all of the range if
    /// none may.
    pub(crate) async fn read(
        &self,
        owner: &Member,
        stream: StreamId,
        range: Range,
        viewing: Viewing,
    ) -> store::Result<Chunk> {
        let kept = self.config.kept(viewing.now_ms);
        let mut after = range.after;
        loop {
            let end = Seq::parse(after.get() + WINDOW)
                .unwrap_or(range.upto)
                .min(range.upto);
            let window = Range { after, upto: end };
            let page = self.store.items(stream, window, kept, PAGE).await?;
            let upto = page.upto;
            let items = page.items.into_iter();
            let items = items.map(|item| ReadyItem::new(owner, item));
            let items = items
                .collect::<Result<_, _>>()
                .map_err(super::drain::encode)?;
            let chunk = Chunk { items, upto };
            if upto >= range.upto || chunk.has_visible(viewing) {
                return Ok(chunk);
            }
            after = upto;
        }
    }
}
