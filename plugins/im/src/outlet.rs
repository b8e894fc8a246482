//! `$im/inbox` as the broker sees it: who listens.

use std::sync::Arc;

use partyline_plugin::{Outlet, SessionInfo, async_trait};

use crate::delivery::{Deliveries, Reason};

pub(crate) struct InboxOutlet(pub(crate) Arc<Deliveries>);

#[async_trait]
impl Outlet for InboxOutlet {
    async fn opened(&self, session: &Arc<SessionInfo>) {
        // A device without a user has no inbox; a login on its session opens one.
        if let Ok(inbox) = self.0.inbox_of(session) {
            // A database that says nothing for a while is no reason to refuse: the device's place
            // is fixed as soon as it answers, and then what it missed is sent.
            self.0.open(&inbox, Reason::Subscription).await;
        }
    }

    async fn closed(&self, session: &Arc<SessionInfo>) {
        self.0.close(session);
    }
}
