//! Who may publish and subscribe to plain topics.

use async_trait::async_trait;
use partyline_protocol::{Reason, TopicFilter};

use super::HookResult;
use crate::{Message, Qos, SessionInfo};

/// The verdict of an access hook. The first that is not `Next` stands; if all say `Next`, the
/// broker denies.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessVerdict {
    /// No opinion.
    Next,
    /// Allowed.
    Allow,
    /// Denied for this reason.
    Deny(Reason),
}

/// Decides about each PUBLISH to a plain topic, and about a will when its client connects.
#[async_trait]
pub trait AuthorizePublish: Send + Sync + 'static {
    /// Decide.
    async fn authorize_publish(
        &self,
        session: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict>;
}

/// One topic filter of a SUBSCRIBE.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// The filter, without its `$share/{group}/`.
    pub filter: TopicFilter,
    /// The share group, if it is a shared subscription.
    pub share: Option<Box<str>>,
    /// The QoS asked for.
    pub qos: Qos,
}

impl SubscribeRequest {
    /// A request; made by the broker and by tests.
    pub fn new(filter: TopicFilter, share: Option<Box<str>>, qos: Qos) -> Self {
        Self { filter, share, qos }
    }
}

/// Decides about each filter of a SUBSCRIBE to plain topics, and again when the user of a session
/// changes, when a saved session resumes, and for every subscription of an app when some plugin
/// says [`BrokerHandle::access_changed`]. So it must not say that itself.
///
/// A fault of a hook that denies on faults refuses a SUBSCRIBE, but takes no saved subscription
/// away: a CONNECT that would resume it is refused with 0x88, and a login ends the connection.
///
/// [`BrokerHandle::access_changed`]: crate::BrokerHandle::access_changed
#[async_trait]
pub trait AuthorizeSubscribe: Send + Sync + 'static {
    /// Decide.
    async fn authorize_subscribe(
        &self,
        session: &SessionInfo,
        request: &SubscribeRequest,
    ) -> HookResult<AccessVerdict>;
}
