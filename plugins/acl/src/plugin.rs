//! The plugin and its two hooks.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, AuthorizePublish, AuthorizeSubscribe, FilterOptions, HookResult, Message,
    Plugin, PluginContext, Reason, Registrar, Role, SessionInfo, SubscribeRequest,
};

use crate::config::{AclConfig, Effect};
use crate::rules::{Access, Rules};

/// Decides about plain topics by rules.
#[derive(Debug)]
pub struct Acl {
    rules: Rules,
}

impl Acl {
    fn verdict(&self, session: &SessionInfo, access: Access<'_>) -> AccessVerdict {
        let topic = match access {
            Access::Publish(topic) => topic.as_str(),
            Access::Subscribe(filter) => filter.as_str(),
        };
        // Not asked by the broker; what is under `$` is never for rules to open.
        if topic.starts_with('$') {
            return AccessVerdict::Next;
        }
        if session.principal.role == Role::Server {
            return AccessVerdict::Allow;
        }
        match self.rules.decide(session, access) {
            Some(Effect::Allow) => AccessVerdict::Allow,
            Some(Effect::Deny) => AccessVerdict::Deny(Reason::NotAuthorized),
            None if session.principal.role == Role::Anonymous => AccessVerdict::Allow,
            // Closed by default: the broker denies what no plugin allows.
            None => AccessVerdict::Next,
        }
    }
}

#[async_trait]
impl Plugin for Acl {
    const ID: &'static str = "acl";
    type Config = AclConfig;

    async fn build(_cx: PluginContext, config: AclConfig) -> anyhow::Result<Self> {
        Ok(Self {
            rules: Rules::new(config)?,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .authorize_publish(FilterOptions::default(), Arc::clone(self) as _)
            .authorize_subscribe(FilterOptions::default(), Arc::clone(self) as _);
    }
}

#[async_trait]
impl AuthorizePublish for Acl {
    async fn authorize_publish(
        &self,
        session: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict> {
        Ok(self.verdict(session, Access::Publish(&message.topic)))
    }
}

#[async_trait]
impl AuthorizeSubscribe for Acl {
    async fn authorize_subscribe(
        &self,
        session: &SessionInfo,
        request: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        Ok(self.verdict(session, Access::Subscribe(&request.filter)))
    }
}

#[cfg(test)]
mod tests;
