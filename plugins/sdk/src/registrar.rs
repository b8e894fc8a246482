//! What a plugin declares: collected here, checked and carried out by the host.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use partyline_protocol::RequestError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::hooks::DEFAULT_DEADLINE;
use crate::services::Services;
use crate::{
    Audience, Authenticate, AuthorizePublish, AuthorizeSubscribe, CommandCx, CommandHandler,
    OnFault, Outlet, Phase, PublishFilter, Qos, Scope,
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

/// How a filter may behave.
#[derive(Debug, Clone, Copy)]
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

/// A publish filter, with where it stands and what it sees.
#[derive(Clone)]
pub struct PublishFilterEntry {
    /// Where it stands.
    pub phase: Phase,
    /// What it sees.
    pub scope: Scope,
    /// Deadline, policy and the hook.
    pub entry: HookEntry<dyn PublishFilter>,
}

/// All that one plugin declared.
#[derive(Default)]
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
    pub authenticate: Vec<Arc<dyn Authenticate>>,
    /// Publish access hooks.
    pub authorize_publish: Vec<HookEntry<dyn AuthorizePublish>>,
    /// Subscribe access hooks.
    pub authorize_subscribe: Vec<HookEntry<dyn AuthorizeSubscribe>>,
    /// Publish filters.
    pub publish_filters: Vec<PublishFilterEntry>,
    /// Services it cannot work without, with their names for the error.
    pub requires: Vec<(TypeId, &'static str)>,
}

/// Takes a plugin's declarations.
pub struct Registrar {
    plugin: &'static str,
    services: Services,
    declared: Registrations,
}

impl Registrar {
    /// A registrar for one plugin; made by the host and by test doubles.
    pub fn new(plugin: &'static str, services: Services) -> Self {
        Self {
            plugin,
            services,
            declared: Registrations::default(),
        }
    }

    /// The plugin that registers.
    pub fn plugin(&self) -> &'static str {
        self.plugin
    }

    /// Owns the `$` topics that begin with `prefix`.
    pub fn owns(&mut self, prefix: &'static str) -> &mut Self {
        self.declared.namespaces.push(Namespace { prefix });
        self
    }

    /// Lets the plugin `to` own a part of this plugin's namespace.
    pub fn delegates(&mut self, prefix: &'static str, to: &'static str) -> &mut Self {
        self.declared.delegations.push(Delegation { prefix, to });
        self
    }

    /// Answers the command `topic` with an async function of the plugin; replies go to
    /// `reply_topic` unless the request names a Response Topic.
    pub fn command<P, Req, Res, F, Fut>(
        &mut self,
        topic: &'static str,
        reply_topic: &'static str,
        plugin: &Arc<P>,
        handler: F,
    ) -> &mut Self
    where
        P: Send + Sync + 'static,
        Req: DeserializeOwned + Send + 'static,
        Res: Serialize,
        F: Fn(Arc<P>, CommandCx, Req) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Res, RequestError>> + Send + 'static,
    {
        let handler = CommandHandler::new(plugin, handler);
        self.declared.commands.push(CommandEntry {
            topic,
            reply_topic,
            handler,
        });
        self
    }

    /// Delivers `topic` to sessions at `qos`; `outlet`, if any, is told of subscribers.
    pub fn outlet(
        &mut self,
        topic: &'static str,
        qos: Qos,
        audience: Audience,
        outlet: Option<Arc<dyn Outlet>>,
    ) -> &mut Self {
        self.declared.outlets.push(OutletEntry {
            topic,
            qos,
            audience,
            outlet,
        });
        self
    }

    /// Decides who connections are.
    pub fn authenticate(&mut self, hook: Arc<dyn Authenticate>) -> &mut Self {
        self.declared.authenticate.push(hook);
        self
    }

    /// Decides who may publish to plain topics.
    pub fn authorize_publish(
        &mut self,
        options: FilterOptions,
        hook: Arc<dyn AuthorizePublish>,
    ) -> &mut Self {
        self.declared
            .authorize_publish
            .push(HookEntry { options, hook });
        self
    }

    /// Decides who may subscribe to plain topics.
    pub fn authorize_subscribe(
        &mut self,
        options: FilterOptions,
        hook: Arc<dyn AuthorizeSubscribe>,
    ) -> &mut Self {
        self.declared
            .authorize_subscribe
            .push(HookEntry { options, hook });
        self
    }

    /// Filters published messages.
    pub fn publish_filter(
        &mut self,
        phase: Phase,
        scope: Scope,
        options: FilterOptions,
        hook: Arc<dyn PublishFilter>,
    ) -> &mut Self {
        let entry = HookEntry { options, hook };
        self.declared.publish_filters.push(PublishFilterEntry {
            phase,
            scope,
            entry,
        });
        self
    }

    /// Offers a service to other plugins.
    pub fn provides<S: ?Sized + Send + Sync + 'static>(&mut self, service: Arc<S>) -> &mut Self {
        self.services.provide(service);
        self
    }

    /// Needs a service: if nobody provides it, the broker does not start.
    pub fn requires<S: ?Sized + Send + Sync + 'static>(&mut self) -> &mut Self {
        self.declared
            .requires
            .push((TypeId::of::<Arc<S>>(), std::any::type_name::<S>()));
        self
    }

    /// What was declared; for the host.
    pub fn finish(self) -> Registrations {
        self.declared
    }
}
