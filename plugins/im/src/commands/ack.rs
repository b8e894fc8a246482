use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Ack, Acked, ErrorCode, RequestError};

use super::user_of;
use crate::plugin::Im;

impl Im {
    /// `$im/inbox/ack`. Answered once the cursor is on disk.
    pub(crate) async fn ack(
        self: Arc<Self>,
        cx: CommandCx,
        ack: Ack,
    ) -> Result<Acked, RequestError> {
        user_of(&cx)?;
        let inbox = self.deliveries.inbox_of(&cx.session)?;
        let (seq, moved) = inbox.acknowledge(&ack.epoch, ack.seq)?;
        if let Some(moved) = moved {
            let stored = self.deliveries.cursors.push_urgent(moved).await;
            stored.map_err(|_| RequestError::new(ErrorCode::SystemError))?;
        }
        Ok(Acked { seq })
    }
}
