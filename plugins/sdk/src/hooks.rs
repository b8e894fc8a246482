//! Filters: hooks that decide in line, each with its own verdict.
//!
//! A packet meets them in the order of [`Phase`], then of `[plugins] enabled`:
//!
//! | of the client | calls, each once | then |
//! |---|---|---|
//! | CONNECT | [`Authenticate`] until one decides | the will, if any |
//! | its will | [`WillFilter`] of Rewrite → [`AuthorizePublish`] → `WillFilter` of Validate → Transform → Handle | CONNACK |
//! | PUBLISH, plain topic | [`PublishFilter`] of Rewrite → [`AuthorizePublish`] → `PublishFilter` of Validate → Transform → Handle | the router |
//! | PUBLISH, `$` topic | `PublishFilter`s whose scope names the topic, in the same order | the command's handler |
//! | SUBSCRIBE, each plain filter | [`AuthorizeSubscribe`] until one decides → [`SubscribeFilter`] | SUBACK |
//! | SUBSCRIBE, `$` filter | none: the audience of the [outlet](crate::Outlet) decides | SUBACK |
//! | a login on an open connection, a kept session resumed | [`AuthorizeSubscribe`] for each subscription | |
//!
//! and a message that the router hands out meets [`DeliverFilter`] once for each session. A QoS 2
//! message that comes again, an acknowledgement, and what is sent again after a reconnect meet no
//! filter.
//!
//! What a plugin publishes meets no filter but [`DeliverFilter`], and that not of its own: it comes
//! from code that the operator chose, and it belongs to no session that a filter could judge. So a
//! filter never sees what it caused itself. Causes can only go round by way of observers, and
//! [`MAX_HOPS`](crate::MAX_HOPS) ends that.
//!
//! Every call has a panic guard, and every async one a deadline; what happens on a fault is said at
//! registration by [`OnFault`]. After five faults within 30 s a hook is not called for 5 s, and the
//! policy decides alone; then one call is tried. A filter that has not decided at its deadline is
//! dropped at the `await` where it stands: what must be done to its end is done in a task of its own
//! ([`Tasks::spawn`](crate::Tasks::spawn)).
//!
//! The breaker is one for all sessions. Where a client can make a hook fault, by what it sends or by
//! how much, it can open the breaker for everybody. With [`OnFault::Skip`] the filter is then passed
//! over, so `Skip` is for what may be missed: for a limit, a check or an access rule, it would be a way
//! around it. With [`OnFault::Deny`] others are refused meanwhile. So input that is no good is a
//! verdict, and never an error.

mod access;
mod authenticate;
mod deliver;
mod publish;
mod subscribe;

use std::time::Duration;

pub use access::{AccessVerdict, AuthorizePublish, AuthorizeSubscribe, SubscribeRequest};
pub use authenticate::{Admission, AuthVerdict, Authenticate, ConnectRefusal, ConnectRequest};
pub use deliver::{DeliverFilter, DeliverVerdict, Recipient};
pub use publish::{PublishFilter, Refusal, Verdict, WillFilter};
pub use subscribe::{
    RetainHandling, SubscribeFilter, SubscribeVerdict, Subscription, SubscriptionOptions,
};

/// How long a filter may take before it counts as faulty, unless registered otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(250);

/// What a filter returns: a verdict, or why it could not reach one.
pub type HookResult<V> = Result<V, HookError>;

/// A filter could not decide; the policy of its registration decides instead.
#[derive(Debug, thiserror::Error)]
#[error("hook failed")]
pub struct HookError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl HookError {
    /// A fault with its cause.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// Where in the way of a packet a filter stands. Rewriting comes before authorizing, so that what
/// is authorized is what is routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// May change topic and payload before anything is decided.
    Rewrite,
    /// Access rules; these are [`AuthorizePublish`] and [`AuthorizeSubscribe`]. A filter of messages
    /// that is registered here comes right after them, and may change no more than one of
    /// [`Phase::Validate`].
    Authorize,
    /// May refuse what is malformed.
    Validate,
    /// May change the payload of what was accepted.
    Transform,
    /// May take the message instead of the router.
    Handle,
}

/// What decides when a filter faults: an error, a panic, a missed deadline, an open breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// The packet is refused.
    #[default]
    Deny,
    /// The filter is passed over, and what it changed is undone. Not for what protects something: a
    /// client that makes it fault is past it.
    Skip,
}

/// How a filter may behave: at the most 250 ms long, and what faults is refused.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FilterOptions {
    /// The longest it may take.
    pub deadline: Duration,
    /// What decides when it faults.
    pub on_fault: OnFault,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            deadline: DEFAULT_DEADLINE,
            on_fault: OnFault::Deny,
        }
    }
}

impl FilterOptions {
    /// With another deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// With another policy on faults.
    #[must_use]
    pub fn on_fault(mut self, on_fault: OnFault) -> Self {
        self.on_fault = on_fault;
        self
    }
}

/// Which topics a publish filter sees. Checked before anything is allocated for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// All plain topics, none that begin with `$`.
    Plain,
    /// Topics that begin with this.
    Prefix(&'static str),
}

impl Scope {
    /// Whether a topic is in scope.
    pub fn contains(self, topic: &str) -> bool {
        match self {
            Self::Plain => !topic.starts_with('$'),
            Self::Prefix(prefix) => topic.starts_with(prefix),
        }
    }
}
