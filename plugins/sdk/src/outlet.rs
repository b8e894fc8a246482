//! Server-to-client topics under `$`, which plugins deliver to sessions by handle.

use std::sync::Arc;

use async_trait::async_trait;

use crate::SessionInfo;

/// Who may subscribe to an outlet. Others get 0x87 (3.1.1: 0x80).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Devices, and the users on them.
    Devices,
    /// The app's server.
    Servers,
}

/// Told when a session begins and stops listening on a `$` topic that the plugin delivers.
///
/// Subscriptions under `$` belong to one connection: they are not kept with a durable session, so
/// that nothing is sent to a client whose handlers are not yet in place.
///
/// Each call has a panic guard, and is given up after 10 s.
#[async_trait]
pub trait Outlet: Send + Sync + 'static {
    /// A subscription that covers the topic was granted; called again for every further
    /// subscription that covers it, and after a login on a session that already has one.
    ///
    /// What is delivered from here on follows the SUBACK, which goes out when this returns, as
    /// does the reply to the login. The connection waits for it: it may look at the database, and
    /// must not wait for the client.
    async fn opened(&self, session: &Arc<SessionInfo>);

    /// The last covering subscription went, the user changed, or the connection ended. `session`
    /// is as it was when it was opened.
    async fn closed(&self, session: &Arc<SessionInfo>);
}
