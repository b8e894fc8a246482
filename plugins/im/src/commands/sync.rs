use std::sync::Arc;

use partyline_plugin::{CommandCx, sqlx};
use partyline_protocol::{Epoch, ErrorCode, Head, Member, RequestError, Reset, Seq, Sync};
use serde::Serialize;
use serde_json::value::RawValue;

use super::user_of;
use crate::delivery::{Inbox, PACKET_OVERHEAD, Reason, fresh_epoch};
use crate::item::Viewing;
use crate::plugin::Im;
use crate::store::{Place, Range};

/// Bytes of a reply beside the items: the envelope with its id, epoch and numbers, and on MQTT 5 a
/// response topic and correlation data of ordinary size.
const REPLY_FRAME: usize = 512;

/// Bytes that a conversation takes in a reply, at the most: both names at their longest.
const HEAD_BYTES: usize = 256;

/// The answer, as [`partyline_protocol::SyncReply`] reads it. Items are JSON already.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Synced {
    Page {
        epoch: Epoch,
        prev: Seq,
        seq: Seq,
        head: Seq,
        items: Vec<Box<RawValue>>,
    },
    Reset {
        reset: bool,
        #[serde(flatten)]
        heads: Reset,
    },
}

impl Im {
    /// `$im/inbox/sync`. Starts delivery as a subscription does.
    pub(crate) async fn sync(
        self: Arc<Self>,
        cx: CommandCx,
        sync: Sync,
    ) -> Result<Synced, RequestError> {
        let user = user_of(&cx)?;
        let inbox = self.deliveries.inbox_of(&cx.session)?;
        // Where the device is must be known, or the page would not count as sent.
        if !self.deliveries.open(&inbox, Reason::Sync).await {
            return Err(ErrorCode::SystemError.into());
        }
        let place = self
            .store
            .ensure_place(&user, &fresh_epoch())
            .await
            .map_err(failed)?;
        let same_life = sync
            .epoch
            .as_ref()
            .map_or(sync.from == Seq::ZERO, |epoch| *epoch == place.epoch);
        let there = place.floor <= sync.from && sync.from <= place.head;
        if sync.heads_after.is_some() || !same_life || !there {
            return self.heads(&user, &inbox, place, &sync).await;
        }
        self.page(&user, &inbox, place, &sync).await
    }

    async fn page(
        &self,
        user: &Member,
        inbox: &Inbox,
        place: Place,
        sync: &Sync,
    ) -> Result<Synced, RequestError> {
        let Place {
            stream,
            epoch,
            head,
            ..
        } = place;
        let viewing = Viewing {
            now_ms: crate::now_ms(&self.clock),
            live_after: None,
        };
        let range = Range {
            after: sync.from,
            upto: head,
        };
        let chunk = self.deliveries.read(user, stream, range, viewing).await;
        let budget = inbox
            .packet_limit()
            .saturating_sub(REPLY_FRAME + PACKET_OVERHEAD);
        let packed = chunk
            .map_err(failed)?
            .pack(sync.from, budget, sync.limit() as usize, viewing)
            .map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?;
        let items = packed
            .items
            .iter()
            .map(|json| RawValue::from_string(json.to_string()));
        let items = items
            .collect::<Result<_, _>>()
            .map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?;
        inbox.paged(&epoch, sync.from, packed.seq);
        Ok(Synced::Page {
            epoch,
            prev: sync.from,
            seq: packed.seq,
            head,
            items,
        })
    }

    async fn heads(
        &self,
        user: &Member,
        inbox: &Inbox,
        place: Place,
        sync: &Sync,
    ) -> Result<Synced, RequestError> {
        let room = inbox
            .packet_limit()
            .saturating_sub(REPLY_FRAME + PACKET_OVERHEAD);
        let fitting = u32::try_from(room / HEAD_BYTES).unwrap_or(u32::MAX).max(1);
        let limit = sync.limit().min(fitting);
        let kept = self.config.kept(crate::now_ms(&self.clock));
        let page = self
            .store
            .heads(user, sync.heads_after.as_ref(), kept, limit)
            .await;
        let page = page.map_err(failed)?;
        // Read marks come with receipts; until then nothing counts as read.
        let conversations = page
            .heads
            .into_iter()
            .map(|head| Head {
                conversation: head.conversation,
                last_seq: head.last,
                read_seq: Seq::ZERO,
                truncated_before: head.truncated_before,
                unread: None,
            })
            .collect();
        let Place { epoch, head, .. } = place;
        let heads = Reset {
            epoch,
            head,
            conversations,
            more: page.more,
        };
        Ok(Synced::Reset { reset: true, heads })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: sqlx::Error) -> RequestError {
    tracing::error!(error = &error as &dyn std::error::Error, "stream not read");
    ErrorCode::SystemError.into()
}
