//! Filters of subscriptions, and their options as plugins see them.

use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{
    Reason, Refusal, SessionInfo, SubscribeVerdict, Subscription, SubscriptionOptions,
};

use super::HookTable;
use super::guard::Faulted;
use crate::packet::SubscribeOptions;

impl HookTable {
    /// The options that the subscribe filters leave of what the access hooks have allowed.
    pub(crate) async fn filter_subscribe(
        &self,
        info: &SessionInfo,
        filter: &TopicFilter,
        mut options: SubscribeOptions,
    ) -> Result<SubscribeOptions, Refusal> {
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
                    return Err(refusal);
                }
                // What is left is to accept, or a verdict of a later version.
                Ok(_) => {
                    options.lower(left.options);
                    return Ok(options);
                }
                Err(Faulted) if hook.is_skipped() => {}
                Err(Faulted) => return Err(Reason::ImplementationSpecificError.into()),
            }
        }
        Ok(options)
    }
}

/// As plugins see it.
fn told(options: SubscribeOptions) -> SubscriptionOptions {
    let mut told = SubscriptionOptions::new(options.qos);
    told.no_local = options.no_local;
    told.retain_as_published = options.retain_as_published;
    told.retain_handling = options.retain_handling;
    told
}

impl SubscribeOptions {
    /// Takes what a filter left of them, as far as that is less.
    fn lower(&mut self, left: SubscriptionOptions) {
        self.retain_handling = self.retain_handling.max(left.retain_handling);
        self.qos = self.qos.min(left.qos);
        self.no_local |= left.no_local;
    }

    /// What a plugin asks for on behalf of a session.
    pub(crate) fn asked(options: SubscriptionOptions) -> Self {
        Self {
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            retain_handling: options.retain_handling,
            subscription_id: None,
        }
    }
}
