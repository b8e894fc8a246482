//! Filters of messages on their way to the router, phase by phase.

use std::pin::Pin;

use partyline_plugin::host::FilterEntry;
use partyline_plugin::protocol::TopicName;
use partyline_plugin::{
    AccessVerdict, ConnectRefusal, HookResult, Message, Phase, PublishFilter, Reason, Scope,
    SessionInfo, Verdict, WillFilter,
};

use super::HookTable;
use super::description::HookDescription;
use super::guard::Guarded;
use crate::session::WillMessage;

impl HookTable {
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
            // It would be a command, and no access rule was asked.
            Verdict::Next | Verdict::Accept if will.message.topic.is_reserved() => {
                Err(ConnectRefusal::new(Reason::TopicNameInvalid))
            }
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
        if !rewriting.is_empty() {
            let before = message.topic.clone();
            match run(rewriting, info, message).await {
                Verdict::Next | Verdict::Accept => {}
                verdict => return verdict,
            }
            let topic = message.topic.as_str();
            if message.topic != before && TopicName::parse(topic, &self.topics).is_err() {
                return Verdict::reject(Reason::TopicNameInvalid);
            }
        }
        if !message.topic.as_str().starts_with('$') {
            match self.authorize_publish(info, message).await {
                AccessVerdict::Allow => {}
                AccessVerdict::Next => return Verdict::reject(Reason::NotAuthorized),
                AccessVerdict::Deny(reason) => return Verdict::reject(reason),
            }
        }
        run(rest, info, message).await
    }
}

/// A filter of messages in its place.
pub(super) struct Staged<H: ?Sized> {
    pub(super) phase: Phase,
    scope: Scope,
    hook: Guarded<H>,
}

impl<H: ?Sized> Staged<H> {
    pub(super) fn new(plugin: &'static str, entry: FilterEntry<H>) -> Self {
        Self {
            phase: entry.phase,
            scope: entry.scope,
            hook: Guarded::new(plugin, entry.entry),
        }
    }

    pub(super) fn describe(&self, point: &'static str) -> (Phase, HookDescription) {
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
        // Where it comes from is not for a filter to say.
        let came = (message.origin, message.hops);
        // What was authorized is what is routed. Those of this very phase come after the rules too.
        let addressed = (*phase >= Phase::Authorize)
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
        (message.origin, message.hops) = came;
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
