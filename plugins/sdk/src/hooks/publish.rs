//! Filters of published messages.

use async_trait::async_trait;
use partyline_protocol::Reason;

use super::HookResult;
use crate::{Message, SessionInfo};

/// The verdict of a publish filter.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on to the next filter.
    Next,
    /// Go on to the router, past the other filters of this phase.
    Accept,
    /// Acknowledge with success, do not route.
    Consume,
    /// Refuse: MQTT 5 gets the reason in PUBACK or PUBREC, 3.1.1 an ordinary acknowledgement.
    Reject(Reason),
    /// Refuse and end the connection.
    Disconnect(Reason),
}

/// Sees each PUBLISH of a client in its scope exactly once: a QoS 2 message when it first arrives.
/// Wills and what plugins publish pass no filter.
#[async_trait]
pub trait PublishFilter: Send + Sync + 'static {
    /// Decide, and change the message where the phase allows it: after [`Phase::Authorize`] a
    /// change of topic, QoS or RETAIN is undone.
    ///
    /// [`Phase::Authorize`]: crate::Phase::Authorize
    async fn on_publish(&self, session: &SessionInfo, message: &mut Message)
    -> HookResult<Verdict>;
}
