//! Filters of messages on their way to the router.

use async_trait::async_trait;
use partyline_protocol::Reason;

use super::HookResult;
use crate::{Message, SessionInfo};

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The MQTT 5 reason code.
    pub reason: Reason,
    /// A reason string for MQTT 5 clients that asked for problem information.
    pub message: Option<Box<str>>,
}

impl Refusal {
    /// A refusal that says why.
    pub fn because(reason: Reason, message: impl Into<Box<str>>) -> Self {
        Self {
            reason,
            message: Some(message.into()),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            message: None,
        }
    }
}

/// The verdict of a filter of messages.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on to the next filter.
    Next,
    /// Go on, past the other filters of this phase.
    Accept,
    /// Acknowledge with success, do not route. A will is dropped, and its client let in.
    Consume,
    /// Refuse: MQTT 5 gets reason and message in PUBACK or PUBREC, 3.x an ordinary acknowledgement;
    /// nobody is told at QoS 0. A will's CONNECT is refused.
    Reject(Refusal),
    /// Refuse and end the connection. A will's CONNECT is refused.
    Disconnect(Refusal),
}

impl Verdict {
    /// [`Verdict::Reject`] with a reason alone.
    pub fn reject(reason: Reason) -> Self {
        Self::Reject(reason.into())
    }

    /// [`Verdict::Reject`] that says why.
    pub fn reject_because(reason: Reason, message: impl Into<Box<str>>) -> Self {
        Self::Reject(Refusal::because(reason, message))
    }

    /// [`Verdict::Disconnect`] with a reason alone.
    pub fn disconnect(reason: Reason) -> Self {
        Self::Disconnect(reason.into())
    }
}

/// Sees each PUBLISH of a client in its scope exactly once: a QoS 2 message when it first arrives.
/// Wills and what plugins publish pass no such filter.
#[async_trait]
pub trait PublishFilter: Send + Sync + 'static {
    /// Decide, and change the message where the phase allows it: from [`Phase::Authorize`] on a
    /// change of topic, QoS or RETAIN is undone, and one of origin or hops always. A rewritten
    /// topic that is longer or deeper than the broker allows refuses the message with 0x90.
    ///
    /// [`Phase::Authorize`]: crate::Phase::Authorize
    async fn on_publish(&self, session: &SessionInfo, message: &mut Message)
    -> HookResult<Verdict>;
}

/// Sees the will of a CONNECT exactly once, when its client has been let in and before it has its
/// session. What it makes of the will is what may be published later; that it was published is an
/// event ([`Event::Published`]).
///
/// [`Event::Published`]: crate::Event::Published
#[async_trait]
pub trait WillFilter: Send + Sync + 'static {
    /// Decide, and change the will where the phase allows it, as [`PublishFilter::on_publish`]. A
    /// topic that begins with `$` refuses the CONNECT with 0x90.
    async fn on_will(&self, session: &SessionInfo, will: &mut Message) -> HookResult<Verdict>;
}
