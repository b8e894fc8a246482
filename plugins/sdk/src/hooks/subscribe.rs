//! Filters of subscriptions.

use async_trait::async_trait;
use partyline_protocol::TopicFilter;

use super::{HookResult, Refusal};
use crate::{Qos, SessionInfo};

/// How messages of a subscription are sent (MQTT 5 §3.8.3.1). Clients of 3.x ask for nothing but a
/// QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionOptions {
    /// The greatest QoS.
    pub qos: Qos,
    /// Whether the client's own messages are left out.
    pub no_local: bool,
    /// Whether messages keep their RETAIN flag.
    pub retain_as_published: bool,
    /// Whether retained messages are sent first.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// As a client of 3.1.1 asks for it.
    pub fn new(qos: Qos) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Always,
        }
    }
}

/// When retained messages are sent for a subscription, from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetainHandling {
    /// At each SUBSCRIBE.
    Always,
    /// If there was no subscription with this filter.
    IfNew,
    /// Never.
    Never,
}

/// One topic filter of a SUBSCRIBE, allowed by the access hooks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Subscription {
    /// The filter, without its `$share/{group}/`. A change of it is ignored.
    pub filter: TopicFilter,
    /// The share group, if it is a shared subscription. A change of it is ignored.
    pub share: Option<Box<str>>,
    /// May be changed downwards: a lower QoS, No Local set, fewer retained messages. Other changes
    /// are ignored.
    pub options: SubscriptionOptions,
}

impl Subscription {
    /// A subscription; made by the broker and by tests.
    pub fn new(filter: TopicFilter, share: Option<Box<str>>, options: SubscriptionOptions) -> Self {
        Self {
            filter,
            share,
            options,
        }
    }
}

/// The verdict of a subscribe filter.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeVerdict {
    /// Go on to the next filter.
    Next,
    /// Granted, past the other filters.
    Accept,
    /// Refused. The SUBACK has a code for each topic filter, of which 3.x knows one, and one reason
    /// string for all of them.
    Reject(Refusal),
}

/// Sees each plain topic filter of a SUBSCRIBE once, when the access hooks have allowed it, in the
/// order of the plugins. If the session's user changes meanwhile, all of them are asked again for
/// the new user. What a plugin subscribes on behalf of a session, and what a kept session has,
/// passes no filter.
#[async_trait]
pub trait SubscribeFilter: Send + Sync + 'static {
    /// Decide.
    async fn on_subscribe(
        &self,
        session: &SessionInfo,
        subscription: &mut Subscription,
    ) -> HookResult<SubscribeVerdict>;
}
