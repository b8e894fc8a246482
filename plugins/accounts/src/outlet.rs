//! `$session`, sent again to whoever subscribes to it.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{BrokerHandle, Delivery, Outlet, SessionInfo, Tasks};

use crate::issued::IssuedSecrets;
use crate::notice::Notices;

pub(crate) struct SessionOutlet {
    pub(crate) broker: BrokerHandle,
    pub(crate) tasks: Tasks,
    pub(crate) notices: Notices,
    pub(crate) issued: Arc<IssuedSecrets>,
}

#[async_trait]
impl Outlet for SessionOutlet {
    async fn opened(&self, session: &Arc<SessionInfo>) {
        let Some(registration) = session.principal.registration.clone() else {
            return;
        };
        // What was issued on this connection is said again: the first notice may have come before
        // the client had a handler for it.
        let issued = self.issued.of(&session.device, session.id);
        let (broker, notices) = (self.broker.clone(), self.notices.clone());
        let session = Arc::clone(session);
        // The place of the stream is a query, and the connection must not wait for one.
        self.tasks.spawn_until_stop(async move {
            let user = session.principal.username();
            let notice = notices
                .notice(session.app(), &registration, user, issued)
                .await;
            match broker.deliver(session.handle(), notices.outgoing(&notice)) {
                Delivery::Queued | Delivery::Gone => {}
                Delivery::Full => {
                    tracing::debug!(session = session.id.get(), "no room for the session notice");
                }
            }
        });
    }

    async fn closed(&self, _session: &Arc<SessionInfo>) {}
}
