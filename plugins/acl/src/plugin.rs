//! The plugin and its two hooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use async_trait::async_trait;
use partyline_plugin::database::Migrations;
use partyline_plugin::services::Services;
use partyline_plugin::{
    AccessVerdict, AuthorizePublish, AuthorizeSubscribe, BrokerHandle, CancellationToken,
    FilterOptions, HookResult, Message, Plugin, PluginContext, Registrar, Reload, SessionInfo,
    SubscribeRequest,
};

use crate::AppRules;
use crate::config::AclConfig;
use crate::rulebook::Rulebook;
use crate::rules::{Access, Rules};
use crate::store;
use crate::upkeep::Position;

/// Decides about plain topics by rules.
#[derive(Debug)]
pub struct Acl {
    pub(crate) broker: BrokerHandle,
    pub(crate) services: Services,
    pub(crate) book: Rulebook,
    pub(crate) app_rules: AppRules,
    pub(crate) position: Position,
    pub(crate) poll_ms: AtomicU64,
}

#[async_trait]
impl Plugin for Acl {
    const ID: &'static str = "acl";
    type Config = AclConfig;

    fn migrations() -> Option<Migrations> {
        Some(store::MIGRATIONS)
    }

    fn validate(config: &AclConfig) -> anyhow::Result<()> {
        operator(config).map(drop)
    }

    async fn build(cx: PluginContext, config: AclConfig) -> anyhow::Result<Self> {
        let operator = operator(&config)?;
        let book = Rulebook::new(operator);
        let (app_rules, position) = (AppRules::new(cx.database), Position::default());
        // All before there are connections.
        while position.take_up(&app_rules, &book).await?.is_some() {}
        Ok(Self {
            broker: cx.broker,
            services: cx.services,
            book,
            app_rules,
            position,
            poll_ms: config.poll_ms.into(),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .authorize_publish(FilterOptions::default(), Arc::clone(self) as _)
            .authorize_subscribe(FilterOptions::default(), Arc::clone(self) as _)
            .provides::<AppRules>(Arc::new(self.app_rules.clone()));
    }

    async fn reload(&self, config: AclConfig) -> anyhow::Result<Reload> {
        self.book.set_operator(operator(&config)?);
        self.poll_ms.store(config.poll_ms, Ordering::Relaxed);
        self.broker.access_changed(None).await;
        Ok(Reload::Applied)
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let _ = stop.run_until_cancelled(self.look_after()).await;
        Ok(())
    }
}

/// The rules of the configuration.
fn operator(config: &AclConfig) -> anyhow::Result<Rules> {
    let rules = config.rules.iter().cloned();
    Rules::new(rules).context("the rules of [plugins.acl]")
}

#[async_trait]
impl AuthorizePublish for Acl {
    async fn authorize_publish(
        &self,
        session: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict> {
        Ok(self.book.verdict(session, Access::Publish(&message.topic)))
    }
}

#[async_trait]
impl AuthorizeSubscribe for Acl {
    async fn authorize_subscribe(
        &self,
        session: &SessionInfo,
        request: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        Ok(self
            .book
            .verdict(session, Access::Subscribe(&request.filter)))
    }
}
