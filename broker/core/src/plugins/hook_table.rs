//! All hooks, commands and outlets, in the order in which packets meet them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use partyline_plugin::{
    AccessVerdict, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe, CommandEntry,
    ConnectRefusal, ConnectRequest, Message, OutletEntry, Phase, PublishFilter, Reason,
    Registrations, Scope, SessionInfo, SubscribeRequest, Verdict,
};

use super::guard::{Faulted, Guarded};

/// Built once from what the plugins declared. A message that no hook wants pays nothing for hooks.
#[derive(Default)]
pub(crate) struct HookTable {
    authenticate: Vec<(&'static str, Arc<dyn Authenticate>)>,
    authorize_publish: Vec<Guarded<dyn AuthorizePublish>>,
    authorize_subscribe: Vec<Guarded<dyn AuthorizeSubscribe>>,
    publish: Vec<(Phase, Scope, Guarded<dyn PublishFilter>)>,
    commands: HashMap<&'static str, CommandEntry>,
    /// Prefix of a namespace and the reply topic of its commands.
    replies: Vec<(&'static str, &'static str)>,
    outlets: Vec<OutletEntry>,
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
            table
                .authenticate
                .extend(declared.authenticate.into_iter().map(|h| (plugin, h)));
            let guarded = declared.authorize_publish.into_iter();
            table
                .authorize_publish
                .extend(guarded.map(|entry| Guarded::new(plugin, entry)));
            let guarded = declared.authorize_subscribe.into_iter();
            table
                .authorize_subscribe
                .extend(guarded.map(|entry| Guarded::new(plugin, entry)));
            table
                .publish
                .extend(declared.publish_filters.into_iter().map(|filter| {
                    (
                        filter.phase,
                        filter.scope,
                        Guarded::new(plugin, filter.entry),
                    )
                }));
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
        table.publish.sort_by_key(|(phase, ..)| *phase);
        table
    }

    /// The chain in words, for the log.
    pub(super) fn describe(&self) -> String {
        let names = |names: Vec<&str>| {
            if names.is_empty() {
                "-".to_owned()
            } else {
                names.join(" > ")
            }
        };
        format!(
            "authenticate: {}; publish filters: {}; authorize publish: {}; authorize subscribe: {}",
            names(
                self.authenticate
                    .iter()
                    .map(|(plugin, _)| *plugin)
                    .collect()
            ),
            names(
                self.publish
                    .iter()
                    .map(|(_, _, hook)| hook.plugin)
                    .collect()
            ),
            names(
                self.authorize_publish
                    .iter()
                    .map(|hook| hook.plugin)
                    .collect()
            ),
            names(
                self.authorize_subscribe
                    .iter()
                    .map(|hook| hook.plugin)
                    .collect()
            ),
        )
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
        for (plugin, hook) in &self.authenticate {
            let verdict = AssertUnwindSafe(hook.authenticate(request))
                .catch_unwind()
                .await;
            match verdict {
                Ok(Ok(AuthVerdict::Next)) => {}
                Ok(Ok(verdict)) => return verdict,
                Ok(Err(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(plugin, ?cause, "authentication failed");
                    return AuthVerdict::Deny(ConnectRefusal::new(Reason::ServerUnavailable));
                }
                Err(_) => {
                    tracing::error!(plugin, "authentication panicked");
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
        let split = self
            .publish
            .partition_point(|(phase, ..)| *phase < Phase::Authorize);
        let (rewriting, rest) = self.publish.split_at_checked(split).unwrap_or_default();
        match self.run(rewriting, info, message).await {
            Verdict::Next | Verdict::Accept => {}
            verdict => return verdict,
        }
        if !message.topic.as_str().starts_with('$') {
            match self.authorize_publish(info, message).await {
                AccessVerdict::Allow => {}
                AccessVerdict::Next => return Verdict::Reject(Reason::NotAuthorized),
                AccessVerdict::Deny(reason) => return Verdict::Reject(reason),
            }
        }
        self.run(rest, info, message).await
    }

    async fn run(
        &self,
        filters: &[(Phase, Scope, Guarded<dyn PublishFilter>)],
        info: &SessionInfo,
        message: &mut Message,
    ) -> Verdict {
        let mut accepted = None;
        for (phase, scope, hook) in filters {
            if accepted == Some(*phase) || !scope.contains(message.topic.as_str()) {
                continue;
            }
            let before = hook.is_skipped().then(|| message.clone());
            // What was authorized is what is routed.
            let addressed = (*phase > Phase::Authorize)
                .then(|| (message.topic.clone(), message.qos, message.retain));
            let call = hook.entry.hook.on_publish(info, message);
            let Ok(verdict) = hook.call(call).await else {
                // A filter that is passed over leaves nothing half done.
                let Some(before) = before else {
                    return Verdict::Reject(Reason::ImplementationSpecificError);
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
}
