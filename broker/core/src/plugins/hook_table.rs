//! All hooks, commands and outlets, in the order in which packets meet them.

use std::collections::HashMap;

use partyline_plugin::host::{CommandEntry, OutletEntry, Registrations};
use partyline_plugin::protocol::TopicLimits;
use partyline_plugin::{
    AccessVerdict, Audience, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe,
    ConnectRefusal, ConnectRequest, Message, Phase, PublishFilter, Reason, SessionInfo,
    SubscribeFilter, SubscribeRequest, WillFilter,
};

use super::description::{
    ChainDescription, CommandDescription, HookDescription, NamespaceDescription, OutletDescription,
};
use super::filters::Staged;
use super::guard::{Faulted, Guarded};
use super::namespaces::holds;

/// Built once from what the plugins declared. A message that no hook wants pays nothing for hooks.
#[derive(Default)]
pub(crate) struct HookTable {
    authenticate: Vec<Guarded<dyn Authenticate>>,
    authorize_publish: Vec<Guarded<dyn AuthorizePublish>>,
    authorize_subscribe: Vec<Guarded<dyn AuthorizeSubscribe>>,
    pub(super) publish: Vec<Staged<dyn PublishFilter>>,
    pub(super) will: Vec<Staged<dyn WillFilter>>,
    pub(super) subscribe: Vec<Guarded<dyn SubscribeFilter>>,
    /// What a rewritten topic is held to.
    pub(super) topics: TopicLimits,
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
    pub(crate) fn new(declared: Vec<(&'static str, Registrations)>) -> Self {
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
                for prefix in owned.filter(|prefix| holds(prefix, command.topic)) {
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

    /// Holds the topics that filters write to these limits.
    pub(crate) fn with_limits(mut self, topics: TopicLimits) -> Self {
        self.topics = topics;
        self
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
            .filter(|(prefix, _)| holds(prefix, topic))
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

    /// A hook that cannot decide denies, unless it is passed over.
    pub(crate) async fn authorize_publish(
        &self,
        info: &SessionInfo,
        message: &Message,
    ) -> AccessVerdict {
        let verdict = self.ask_publish(info, message).await;
        verdict.unwrap_or(AccessVerdict::Deny(Reason::NotAuthorized))
    }

    /// The same, for who is to know that a hook could not decide.
    pub(crate) async fn ask_publish(
        &self,
        info: &SessionInfo,
        message: &Message,
    ) -> Result<AccessVerdict, Faulted> {
        for hook in &self.authorize_publish {
            let call = hook.entry.hook.authorize_publish(info, message);
            match hook.call(call).await {
                Ok(AccessVerdict::Next) => {}
                Err(Faulted) if hook.is_skipped() => {}
                verdict => return verdict,
            }
        }
        Ok(AccessVerdict::Next)
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
