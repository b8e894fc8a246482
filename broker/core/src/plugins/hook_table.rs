//! All hooks, commands and outlets, in the order in which packets meet them.

use std::collections::HashMap;
use std::pin::Pin;

use partyline_plugin::host::{CommandEntry, FilterEntry, OutletEntry, Registrations};
use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{
    AccessVerdict, Audience, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe,
    ConnectRefusal, ConnectRequest, HookResult, Message, Phase, PublishFilter, Reason, Scope,
    SessionInfo, SubscribeFilter, SubscribeRequest, SubscribeVerdict, Subscription,
    SubscriptionOptions, Verdict, WillFilter,
};

use super::description::{
    ChainDescription, CommandDescription, HookDescription, NamespaceDescription, OutletDescription,
};
use super::guard::{Faulted, Guarded};
use crate::packet::{RetainHandling, SubscribeOptions};
use crate::session::WillMessage;

/// Built once from what the plugins declared. A message that no hook wants pays nothing for hooks.
#[derive(Default)]
pub(crate) struct HookTable {
    authenticate: Vec<Guarded<dyn Authenticate>>,
    authorize_publish: Vec<Guarded<dyn AuthorizePublish>>,
    authorize_subscribe: Vec<Guarded<dyn AuthorizeSubscribe>>,
    publish: Vec<Staged<dyn PublishFilter>>,
    will: Vec<Staged<dyn WillFilter>>,
    subscribe: Vec<Guarded<dyn SubscribeFilter>>,
    commands: HashMap<&'static str, CommandEntry>,
    /// Prefix of a namespace and the reply topic of its commands.
    replies: Vec<(&'static str, &'static str)>,
    outlets: Vec<OutletEntry>,
    /// What is told of commands, outlets and namespaces.
    declared: Declared,
}

/// In the order of the plugins.
#[derive(Debug, Default)]
struct Declared {
    namespaces: Vec<NamespaceDescription>,
    commands: Vec<CommandDescription>,
    outlets: Vec<OutletDescription>,
}

impl std::fmt::Debug for HookTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "HookTable({} commands, {} outlets)",
            self.commands.len(),
            self.outlets.len()
        )
    }
}

impl HookTable {
    /// Puts the declarations in order: by phase, then by the order of the plugins.
    pub(super) fn new(declared: Vec<(&'static str, Registrations)>) -> Self {
        let mut table = Self::default();
        for (plugin, declared) in declared {
            table.declared.add(plugin, &declared);
            let hooks = declared.authenticate.into_iter();
            table
                .authenticate
                .extend(hooks.map(|entry| Guarded::new(plugin, entry)));
            let hooks = declared.authorize_publish.into_iter();
            table
                .authorize_publish
                .extend(hooks.map(|entry| Guarded::new(plugin, entry)));
            let hooks = declared.authorize_subscribe.into_iter();
            table
                .authorize_subscribe
                .extend(hooks.map(|entry| Guarded::new(plugin, entry)));
            let hooks = declared.publish_filters.into_iter();
            table
                .publish
                .extend(hooks.map(|entry| Staged::new(plugin, entry)));
            let hooks = declared.will_filters.into_iter();
            table
                .will
                .extend(hooks.map(|entry| Staged::new(plugin, entry)));
            let hooks = declared.subscribe_filters.into_iter();
            table
                .subscribe
                .extend(hooks.map(|entry| Guarded::new(plugin, entry)));
            for command in declared.commands {
                let owned = declared.namespaces.iter().map(|namespace| namespace.prefix);
                for prefix in owned.filter(|prefix| command.topic.starts_with(prefix)) {
                    if !table.replies.iter().any(|(known, _)| *known == prefix) {
                        table.replies.push((prefix, command.reply_topic));
                    }
                }
                table.commands.insert(command.topic, command);
            }
            table.outlets.extend(declared.outlets);
        }
        table.publish.sort_by_key(|filter| filter.phase);
        table.will.sort_by_key(|filter| filter.phase);
        table
    }

    /// All of it, in the order of calls; observers and deliver filters are not known here.
    pub(crate) fn describe(&self) -> ChainDescription {
        let authenticate = self.authenticate.iter();
        let authenticate = authenticate.map(|hook| hook.describe("authenticate", None, None));
        let authorized = Some(Phase::Authorize);
        let access = self.authorize_publish.iter();
        let access = access.map(|hook| {
            let hook = hook.describe("authorize_publish", authorized, None);
            (Phase::Authorize, hook)
        });
        let publish = self.publish.iter().map(|one| one.describe("publish"));
        let mut publish: Vec<(Phase, HookDescription)> = access.chain(publish).collect();
        publish.sort_by_key(|(phase, _)| *phase);
        let will = self.will.iter().map(|one| one.describe("will"));
        let access = self.authorize_subscribe.iter();
        let access = access.map(|hook| hook.describe("authorize_subscribe", authorized, None));
        let subscribe = self.subscribe.iter();
        let subscribe = subscribe.map(|hook| hook.describe("subscribe", None, None));
        ChainDescription {
            hooks: authenticate
                .chain(will.chain(publish).map(|(_, hook)| hook))
                .chain(access)
                .chain(subscribe)
                .collect(),
            observers: Vec::new(),
            namespaces: self.declared.namespaces.clone(),
            commands: self.declared.commands.clone(),
            outlets: self.declared.outlets.clone(),
        }
    }

    pub(crate) fn outlets(&self) -> &[OutletEntry] {
        &self.outlets
    }

    pub(crate) fn command(&self, topic: &str) -> Option<&CommandEntry> {
        self.commands.get(topic)
    }

    /// Where a command is answered: as it was declared, and for an unknown verb as the others of
    /// its namespace. `None` if there are none.
    pub(crate) fn reply_topic(&self, topic: &str) -> Option<&'static str> {
        if let Some(command) = self.command(topic) {
            return Some(command.reply_topic);
        }
        self.replies
            .iter()
            .filter(|(prefix, _)| topic.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, reply)| *reply)
    }

    /// Whether some plugin answers commands there: under `$`, replies go nowhere else.
    pub(crate) fn is_reply_topic(&self, topic: &str) -> bool {
        self.replies.iter().any(|(_, reply)| *reply == topic)
            || self
                .commands
                .values()
                .any(|command| command.reply_topic == topic)
    }

    pub(crate) async fn authenticate(&self, request: &ConnectRequest) -> AuthVerdict {
        for hook in &self.authenticate {
            match hook.call(hook.entry.hook.authenticate(request)).await {
                Ok(AuthVerdict::Next) => {}
                Ok(verdict) => return verdict,
                Err(Faulted) => {
                    return AuthVerdict::Deny(ConnectRefusal::new(Reason::ServerUnavailable));
                }
            }
        }
        AuthVerdict::Next
    }

    pub(crate) async fn authorize_publish(
        &self,
        info: &SessionInfo,
        message: &Message,
    ) -> AccessVerdict {
        for hook in &self.authorize_publish {
            let call = hook.entry.hook.authorize_publish(info, message);
            match hook.call(call).await {
                Ok(AccessVerdict::Next) => {}
                Ok(verdict) => return verdict,
                Err(Faulted) if hook.is_skipped() => {}
                Err(Faulted) => return AccessVerdict::Deny(Reason::NotAuthorized),
            }
        }
        AccessVerdict::Next
    }

    pub(crate) async fn authorize_subscribe(
        &self,
        info: &SessionInfo,
        request: &SubscribeRequest,
    ) -> Result<AccessVerdict, Faulted> {
        for hook in &self.authorize_subscribe {
            let call = hook.entry.hook.authorize_subscribe(info, request);
            let verdict = match hook.call(call).await {
                Err(Faulted) if hook.is_skipped() => AccessVerdict::Next,
                verdict => verdict?,
            };
            match verdict {
                AccessVerdict::Next => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(AccessVerdict::Next)
    }

    /// Rewrite → authorize → validate → transform → handle. A plain message that nobody allows is
    /// refused; `$` topics are not authorized here, since their commands decide for themselves.
    pub(crate) async fn filter_publish(
        &self,
        info: &SessionInfo,
        message: &mut Message,
    ) -> Verdict {
        self.filter(&self.publish, info, message).await
    }

    /// The same for the will of who connects. `None` if it is not to be published.
    pub(crate) async fn filter_will(
        &self,
        info: &SessionInfo,
        mut will: WillMessage,
    ) -> Result<Option<WillMessage>, ConnectRefusal> {
        match self.filter(&self.will, info, &mut will.message).await {
            Verdict::Next | Verdict::Accept => Ok(Some(will)),
            Verdict::Consume => Ok(None),
            Verdict::Reject(why) | Verdict::Disconnect(why) => Err(ConnectRefusal {
                reason: why.reason,
                message: why.message.map(Into::into),
            }),
        }
    }

    async fn filter<H: OnMessage + ?Sized>(
        &self,
        filters: &[Staged<H>],
        info: &SessionInfo,
        message: &mut Message,
    ) -> Verdict {
        let split = filters.partition_point(|filter| filter.phase < Phase::Authorize);
        let (rewriting, rest) = filters.split_at_checked(split).unwrap_or_default();
        match run(rewriting, info, message).await {
            Verdict::Next | Verdict::Accept => {}
            verdict => return verdict,
        }
        if !message.topic.as_str().starts_with('$') {
            match self.authorize_publish(info, message).await {
                AccessVerdict::Allow => {}
                AccessVerdict::Next => return not_allowed(Reason::NotAuthorized),
                AccessVerdict::Deny(reason) => return not_allowed(reason),
            }
        }
        run(rest, info, message).await
    }

    /// The options that the subscribe filters leave of what the access hooks have allowed.
    pub(crate) async fn filter_subscribe(
        &self,
        info: &SessionInfo,
        filter: &TopicFilter,
        mut options: SubscribeOptions,
    ) -> Result<SubscribeOptions, Reason> {
        if self.subscribe.is_empty() {
            return Ok(options);
        }
        let (share, topics) = match filter.share() {
            Ok(Some((share, topics))) => (Some(share.into()), topics),
            _ => (None, filter.clone()),
        };
        for hook in &self.subscribe {
            let asked = Subscription::new(topics.clone(), share.clone(), told(options));
            let mut left = asked.clone();
            match hook
                .call(hook.entry.hook.on_subscribe(info, &mut left))
                .await
            {
                Ok(SubscribeVerdict::Next) => options.lower(left.options),
                Ok(SubscribeVerdict::Reject(refusal)) => {
                    tracing::debug!(session.device = %info.device, filter = filter.as_str(),
                        plugin = hook.plugin, why = refusal.message, "subscription refused");
                    return Err(refusal.reason);
                }
                // What is left is to accept, or a verdict of a later version.
                Ok(_) => {
                    options.lower(left.options);
                    return Ok(options);
                }
                Err(Faulted) if hook.is_skipped() => {}
                Err(Faulted) => return Err(Reason::ImplementationSpecificError),
            }
        }
        Ok(options)
    }
}

fn not_allowed(reason: Reason) -> Verdict {
    Verdict::reject_because(reason, "publishing to this topic is not allowed")
}

/// As plugins see it.
fn told(options: SubscribeOptions) -> SubscriptionOptions {
    let mut told = SubscriptionOptions::new(options.qos);
    told.no_local = options.no_local;
    told.retain_as_published = options.retain_as_published;
    told.retain_handling = match options.retain_handling {
        RetainHandling::Always => partyline_plugin::RetainHandling::Always,
        RetainHandling::IfNew => partyline_plugin::RetainHandling::IfNew,
        RetainHandling::Never => partyline_plugin::RetainHandling::Never,
    };
    told
}

fn handling(told: partyline_plugin::RetainHandling) -> RetainHandling {
    match told {
        partyline_plugin::RetainHandling::Always => RetainHandling::Always,
        partyline_plugin::RetainHandling::IfNew => RetainHandling::IfNew,
        partyline_plugin::RetainHandling::Never => RetainHandling::Never,
    }
}

impl SubscribeOptions {
    /// Takes what a filter left of them, as far as that is less.
    fn lower(&mut self, left: SubscriptionOptions) {
        let retained = told(*self).retain_handling.max(left.retain_handling);
        self.retain_handling = handling(retained);
        self.qos = self.qos.min(left.qos);
        self.no_local |= left.no_local;
    }

    /// What a plugin asks for on behalf of a session.
    pub(crate) fn asked(options: SubscriptionOptions) -> Self {
        Self {
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            retain_handling: handling(options.retain_handling),
            subscription_id: None,
        }
    }
}

/// A filter of messages in its place.
struct Staged<H: ?Sized> {
    phase: Phase,
    scope: Scope,
    hook: Guarded<H>,
}

impl<H: ?Sized> Staged<H> {
    fn new(plugin: &'static str, entry: FilterEntry<H>) -> Self {
        Self {
            phase: entry.phase,
            scope: entry.scope,
            hook: Guarded::new(plugin, entry.entry),
        }
    }

    fn describe(&self, point: &'static str) -> (Phase, HookDescription) {
        let scope = Some(name_of(self.scope));
        (
            self.phase,
            self.hook.describe(point, Some(self.phase), scope),
        )
    }
}

/// A scope in words.
pub(super) fn name_of(scope: Scope) -> String {
    match scope {
        Scope::Prefix(prefix) => format!("{prefix}…"),
        _ => "all but $".to_owned(),
    }
}

type Judging<'a> = Pin<Box<dyn Future<Output = HookResult<Verdict>> + Send + 'a>>;

/// What filters of messages have in common.
trait OnMessage: Send + Sync {
    fn judge<'a>(&'a self, info: &'a SessionInfo, message: &'a mut Message) -> Judging<'a>;
}

impl OnMessage for dyn PublishFilter {
    fn judge<'a>(&'a self, info: &'a SessionInfo, message: &'a mut Message) -> Judging<'a> {
        self.on_publish(info, message)
    }
}

impl OnMessage for dyn WillFilter {
    fn judge<'a>(&'a self, info: &'a SessionInfo, message: &'a mut Message) -> Judging<'a> {
        self.on_will(info, message)
    }
}

async fn run<H: OnMessage + ?Sized>(
    filters: &[Staged<H>],
    info: &SessionInfo,
    message: &mut Message,
) -> Verdict {
    let mut accepted = None;
    for Staged { phase, scope, hook } in filters {
        if accepted == Some(*phase) || !scope.contains(message.topic.as_str()) {
            continue;
        }
        let before = hook.is_skipped().then(|| message.clone());
        // What was authorized is what is routed.
        let addressed = (*phase > Phase::Authorize)
            .then(|| (message.topic.clone(), message.qos, message.retain));
        let call = hook.entry.hook.judge(info, message);
        let Ok(verdict) = hook.call(call).await else {
            // A filter that is passed over leaves nothing half done.
            let Some(before) = before else {
                return Verdict::reject(Reason::ImplementationSpecificError);
            };
            *message = before;
            continue;
        };
        if let Some(addressed) = addressed {
            (message.topic, message.qos, message.retain) = addressed;
        }
        match verdict {
            Verdict::Next => {}
            Verdict::Accept => accepted = Some(*phase),
            verdict => return verdict,
        }
    }
    Verdict::Next
}

impl Declared {
    fn add(&mut self, plugin: &'static str, declared: &Registrations) {
        let namespaces = declared.namespaces.iter();
        self.namespaces
            .extend(namespaces.map(|one| NamespaceDescription {
                prefix: one.prefix,
                plugin,
            }));
        let commands = declared.commands.iter();
        self.commands.extend(commands.map(|one| CommandDescription {
            topic: one.topic,
            reply_topic: one.reply_topic,
            plugin,
        }));
        let outlets = declared.outlets.iter();
        self.outlets.extend(outlets.map(|one| OutletDescription {
            topic: one.topic,
            qos: one.qos.level(),
            audience: match one.audience {
                Audience::Devices => "devices",
                Audience::Servers => "servers",
            },
            plugin,
        }));
    }
}
