use serde::{Deserialize, Serialize};

use super::InboxItem;
use crate::id::{Epoch, Seq};

/// `$im/inbox`: what follows `prev`, up to and including `seq`. Numbers missing between the items
/// fell to retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxBatch {
    /// The life of the stream.
    pub epoch: Epoch,
    /// Where the last batch on this connection ended.
    pub prev: Seq,
    /// Where this one ends; its acknowledgement moves the cursor here.
    pub seq: Seq,
    /// The items, ascending.
    pub items: Vec<InboxItem>,
}
