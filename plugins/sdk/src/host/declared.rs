//! What plugins declare, as the host reads it.

use std::any::TypeId;
use std::sync::Arc;

use super::CommandHandler;
use crate::{
    Audience, Authenticate, AuthorizePublish, AuthorizeSubscribe, DeliverFilter, EventKinds,
    FilterOptions, Observer, Outlet, Phase, PublishFilter, Qos, Scope, SubscribeFilter, WillFilter,
};

/// A prefix of `$` topics that a plugin owns. The longest prefix decides; overlap without
/// delegation keeps the broker from starting.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Such as `$im/`, or one whole topic such as `$session`.
    pub prefix: &'static str,
}

/// Leave for another plugin to own a part of one's namespace.
#[derive(Debug, Clone)]
pub struct Delegation {
    /// The part, such as `$im/session/`.
    pub prefix: &'static str,
    /// The id of the plugin that may own it.
    pub to: &'static str,
}

/// A command topic and what answers it.
#[derive(Debug, Clone)]
pub struct CommandEntry {
    /// The topic.
    pub topic: &'static str,
    /// Where the reply goes when the request names no Response Topic.
    pub reply_topic: &'static str,
    /// The handler.
    pub handler: CommandHandler,
}

/// A topic that the plugin delivers to sessions.
#[derive(Clone)]
pub struct OutletEntry {
    /// The topic.
    pub topic: &'static str,
    /// Granted in the SUBACK and used for delivery, whatever was asked.
    pub qos: Qos,
    /// Who may subscribe.
    pub audience: Audience,
    /// Told of subscribers; `None` where the plugin need not know.
    pub outlet: Option<Arc<dyn Outlet>>,
}

impl std::fmt::Debug for OutletEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutletEntry")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// A hook and how it may behave.
pub struct HookEntry<H: ?Sized> {
    /// Deadline and fault policy.
    pub options: FilterOptions,
    /// The hook.
    pub hook: Arc<H>,
}

impl<H: ?Sized> Clone for HookEntry<H> {
    fn clone(&self) -> Self {
        Self {
            options: self.options,
            hook: Arc::clone(&self.hook),
        }
    }
}

/// A filter of messages, with where it stands and what it sees.
pub struct FilterEntry<H: ?Sized> {
    /// Where it stands.
    pub phase: Phase,
    /// What it sees.
    pub scope: Scope,
    /// Deadline, policy and the hook.
    pub entry: HookEntry<H>,
}

impl<H: ?Sized> Clone for FilterEntry<H> {
    fn clone(&self) -> Self {
        Self {
            phase: self.phase,
            scope: self.scope,
            entry: self.entry.clone(),
        }
    }
}

/// An observer and its queue.
#[derive(Clone)]
pub struct ObserverEntry {
    /// What it is told of.
    pub kinds: EventKinds,
    /// Events that may wait.
    pub capacity: usize,
    /// The observer.
    pub observer: Arc<dyn Observer>,
}

/// All that one plugin declared.
#[derive(Default)]
#[non_exhaustive]
pub struct Registrations {
    /// Owned namespaces.
    pub namespaces: Vec<Namespace>,
    /// Parts given to others.
    pub delegations: Vec<Delegation>,
    /// Commands.
    pub commands: Vec<CommandEntry>,
    /// Outlets.
    pub outlets: Vec<OutletEntry>,
    /// Authentication hooks.
    pub authenticate: Vec<HookEntry<dyn Authenticate>>,
    /// Publish access hooks.
    pub authorize_publish: Vec<HookEntry<dyn AuthorizePublish>>,
    /// Subscribe access hooks.
    pub authorize_subscribe: Vec<HookEntry<dyn AuthorizeSubscribe>>,
    /// Publish filters.
    pub publish_filters: Vec<FilterEntry<dyn PublishFilter>>,
    /// Will filters.
    pub will_filters: Vec<FilterEntry<dyn WillFilter>>,
    /// Subscribe filters.
    pub subscribe_filters: Vec<HookEntry<dyn SubscribeFilter>>,
    /// Deliver filters.
    pub deliver_filters: Vec<(Scope, HookEntry<dyn DeliverFilter>)>,
    /// Observers.
    pub observers: Vec<ObserverEntry>,
    /// Services it cannot work without, with their names for the error.
    pub requires: Vec<(TypeId, &'static str)>,
}
