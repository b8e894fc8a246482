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
        let acknowledged = inbox.acknowledge(&ack.epoch, ack.seq)?;
        let cursors = &self.deliveries.cursors;
        let stored = match acknowledged.moved {
            Some(moved) => Some(cursors.push_urgent(moved)),
            // Acknowledged before, and perhaps not on disk yet.
            None => cursors.witness(acknowledged.stream, inbox.device()),
        };
        if let Some(stored) = stored {
            let stored = stored.await;
            stored.map_err(|_| RequestError::new(ErrorCode::SystemError))?;
        }
        Ok(Acked {
            seq: acknowledged.cursor,
        })
    }
}
