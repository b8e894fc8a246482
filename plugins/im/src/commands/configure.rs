use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Configure, Configured, RequestError};

use super::user_of;
use crate::plugin::Im;

impl Im {
    /// `$im/session/configure`.
    pub(crate) async fn configure(
        self: Arc<Self>,
        cx: CommandCx,
        change: Configure,
    ) -> Result<Configured, RequestError> {
        user_of(&cx)?;
        let inbox = self.deliveries.inbox_of(&cx.session)?;
        Ok(self.deliveries.configure(&inbox, &change).await)
    }
}
