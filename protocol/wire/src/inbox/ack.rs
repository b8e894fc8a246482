use serde::{Deserialize, Serialize};

use crate::id::{Epoch, Seq};

/// `$im/inbox/ack`: everything up to `seq` is safe with the client. Cumulative; never beyond what
/// was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The life of the stream that `seq` belongs to.
    pub epoch: Epoch,
    /// The last item that the client has.
    pub seq: Seq,
}

/// Reply to [`Ack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// Where the device's cursor stands now.
    pub seq: Seq,
}
