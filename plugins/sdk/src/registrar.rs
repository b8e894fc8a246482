//! What a plugin declares: collected here, checked and carried out by the host.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use partyline_protocol::RequestError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::{
    CommandEntry, CommandHandler, Delegation, FilterEntry, HookEntry, Namespace, ObserverEntry,
    OutletEntry, Registrations,
};
use crate::services::Services;
use crate::{
    Audience, Authenticate, AuthorizePublish, AuthorizeSubscribe, CommandCx, DeliverFilter,
    EventKinds, FilterOptions, Observer, OnFault, Outlet, Phase, PublishFilter, Qos, Scope,
    SubscribeFilter, WillFilter,
};

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

    /// Owns the `$` topics in `prefix`, level by level: `$a/` all below it, `$a/b` that topic and all
    /// below it. Under `$x/` that is `$x/{ID}/`, unless the plugin whose level it is gives it away.
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
    /// `reply_topic` unless the request names a Response Topic. Both are topics of the plugin; where
    /// the command's namespace was given to it by another plugin, the reply may go to one of that
    /// plugin's. A reply topic under `$` that is nobody's will do as well.
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

    /// Decides who connections are. It has the time of the CONNECT; a fault of it refuses the
    /// CONNECT.
    pub fn authenticate(&mut self, hook: Arc<dyn Authenticate>) -> &mut Self {
        let options = FilterOptions::default().deadline(Duration::MAX);
        self.declared.authenticate.push(HookEntry { options, hook });
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
        self.declared.publish_filters.push(FilterEntry {
            phase,
            scope,
            entry,
        });
        self
    }

    /// Filters the wills of those who connect.
    pub fn will_filter(
        &mut self,
        phase: Phase,
        scope: Scope,
        options: FilterOptions,
        hook: Arc<dyn WillFilter>,
    ) -> &mut Self {
        let entry = HookEntry { options, hook };
        self.declared.will_filters.push(FilterEntry {
            phase,
            scope,
            entry,
        });
        self
    }

    /// Filters subscriptions to plain topics that the access hooks have allowed.
    pub fn subscribe_filter(
        &mut self,
        options: FilterOptions,
        hook: Arc<dyn SubscribeFilter>,
    ) -> &mut Self {
        self.declared
            .subscribe_filters
            .push(HookEntry { options, hook });
        self
    }

    /// Filters what the router hands to each session. A fault of it keeps the message from that
    /// session, or not.
    pub fn deliver_filter(
        &mut self,
        scope: Scope,
        on_fault: OnFault,
        hook: Arc<dyn DeliverFilter>,
    ) -> &mut Self {
        let options = FilterOptions::default()
            .deadline(Duration::MAX)
            .on_fault(on_fault);
        self.declared
            .deliver_filters
            .push((scope, HookEntry { options, hook }));
        self
    }

    /// Tells of events, by way of a queue that holds so many ([`DEFAULT_QUEUE`] will do).
    ///
    /// [`DEFAULT_QUEUE`]: crate::DEFAULT_QUEUE
    pub fn observe(
        &mut self,
        kinds: impl Into<EventKinds>,
        capacity: usize,
        observer: Arc<dyn Observer>,
    ) -> &mut Self {
        self.declared.observers.push(ObserverEntry {
            kinds: kinds.into(),
            capacity: capacity.max(1),
            observer,
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
