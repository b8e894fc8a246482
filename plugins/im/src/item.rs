//! An item of a stream, written as its owner will read it.

use std::sync::Arc;

use partyline_protocol::{InboxItem, ItemBody, Member, MessageItem, OversizeItem, Seq};

use crate::store::StoredItem;

/// An item ready to be sent. Cheap to clone: all devices of a user get the same text.
#[derive(Debug, Clone)]
pub(crate) struct ReadyItem {
    /// Its place in the stream.
    pub(crate) seq: Seq,
    /// The item's JSON.
    pub(crate) json: Arc<str>,
    oversize: OversizeItem,
    expire_at: Option<u64>,
    no_offline: bool,
}

/// For whom an item may be left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewing {
    /// The time, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// Items up to here were there before the session listened; `None` is a reader by hand.
    pub(crate) live_after: Option<Seq>,
}

impl ReadyItem {
    /// Writes an item for the owner of the stream that it is in.
    pub(crate) fn new(owner: &Member, item: StoredItem) -> Result<Self, serde_json::Error> {
        let StoredItem {
            seq,
            msg_seq,
            expire_at,
            no_offline,
            content,
            ..
        } = item;
        let conversation = item.conversation.seen_by(owner);
        let truncated_before = item.truncated.then_some(msg_seq);
        let oversize = OversizeItem {
            conversation,
            msg_seq,
            truncated_before,
        };
        let body = match content {
            Some(content) => ItemBody::Message(Box::new(MessageItem {
                conversation: oversize.conversation.clone(),
                msg_seq,
                truncated_before,
                msg_id: item.id,
                // The id means something to the sender's own devices only.
                client_msg_id: item.client_msg_id.filter(|_| item.sender == *owner),
                from: item.sender,
                target_type: content.target_type,
                target_id: content.target_id,
                msg_type: content.msg_type,
                msg_body: content.msg_body,
                msg_ctime: item.at_ms,
                no_notification: content.no_notification,
                notification: content.notification,
                need_receipt: content.need_receipt,
                at: content.at,
                expire_at,
            })),
            // What can't be read is told like what can't be sent, and blocks nothing.
            None => ItemBody::Oversize(oversize.clone()),
        };
        let json = serde_json::to_string(&InboxItem { seq, body })?.into();
        Ok(Self {
            seq,
            json,
            oversize,
            expire_at,
            no_offline,
        })
    }

    /// Whether it is still to be delivered.
    pub(crate) fn visible(&self, viewing: Viewing) -> bool {
        let expired = self.expire_at.is_some_and(|at| at <= viewing.now_ms);
        let live = viewing.live_after.is_some_and(|after| self.seq > after);
        !expired && (live || !self.no_offline)
    }

    /// What stands for it where it is too large.
    pub(crate) fn oversize(&self) -> Result<Arc<str>, serde_json::Error> {
        let body = ItemBody::Oversize(self.oversize.clone());
        Ok(serde_json::to_string(&InboxItem {
            seq: self.seq,
            body,
        })?
        .into())
    }
}
