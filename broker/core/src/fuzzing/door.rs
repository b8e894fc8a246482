//! Lets everybody in and allows everything, until it is told to deny.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use partyline_plugin::protocol::{AppKey, RequestError};
use partyline_plugin::services::Services;
use partyline_plugin::{
    AccessVerdict, Admission, Audience, AuthVerdict, Authenticate, AuthorizePublish,
    AuthorizeSubscribe, CommandCx, ConnectRefusal, ConnectRequest, DeviceKey, FilterOptions,
    HookResult, Message, Owner, Principal, Qos, Reason, Registrar, Role, SessionInfo,
    SubscribeRequest,
};
use serde::{Deserialize, Serialize};

use super::APPS;
use crate::plugins::HookTable;

/// A command and an outlet of the door's.
pub(super) const COMMAND: &str = "$x/f/say";
pub(super) const OUTLET: &str = "$x/f/out";

#[derive(Debug, Default)]
pub(super) struct Door {
    /// Denies what is under `no/`, and filters that could show it.
    denies: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Words {
    words: String,
}

impl Door {
    pub(super) fn hooks(self: &Arc<Self>) -> HookTable {
        let mut registrar = Registrar::new("fuzz", Services::default());
        registrar
            .owns("$x/f/")
            .command(COMMAND, "$x/f/said", self, Self::say)
            .outlet(OUTLET, Qos::AtLeastOnce, Audience::Devices, None)
            .authenticate(Arc::clone(self) as _)
            .authorize_publish(FilterOptions::default(), Arc::clone(self) as _)
            .authorize_subscribe(FilterOptions::default(), Arc::clone(self) as _);
        HookTable::new(vec![("fuzz", registrar.finish())])
    }

    pub(super) fn turn(&self) {
        self.denies.fetch_xor(true, Ordering::SeqCst);
    }

    async fn say(self: Arc<Self>, _: CommandCx, words: Words) -> Result<Words, RequestError> {
        // So that a client may be gone before its command is done.
        tokio::time::sleep(std::time::Duration::from_millis(words.words.len() as u64)).await;
        Ok(words)
    }

    fn verdict(&self, topic: &str) -> AccessVerdict {
        let touches = topic.starts_with("no/") || topic.starts_with(['+', '#']);
        if self.denies.load(Ordering::SeqCst) && touches {
            AccessVerdict::Deny(Reason::NotAuthorized)
        } else {
            AccessVerdict::Allow
        }
    }
}

#[async_trait]
impl Authenticate for Door {
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        let name = request.username.as_deref().unwrap_or(APPS[0]);
        let Ok(app) = AppKey::parse(name) else {
            let refusal = ConnectRefusal::new(Reason::BadUserNameOrPassword);
            return Ok(AuthVerdict::Deny(refusal));
        };
        let device = DeviceKey {
            app,
            owner: Owner::Device,
            client_id: request.client_id.clone(),
        };
        let principal = Principal {
            role: Role::Device,
            registration: None,
            user: None,
        };
        Ok(AuthVerdict::Allow(Box::new(Admission {
            device,
            principal,
            connack_properties: vec![("door".to_owned(), "open".to_owned())],
            welcome: Vec::new(),
        })))
    }
}

#[async_trait]
impl AuthorizePublish for Door {
    async fn authorize_publish(
        &self,
        _: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict> {
        Ok(self.verdict(message.topic.as_str()))
    }
}

#[async_trait]
impl AuthorizeSubscribe for Door {
    async fn authorize_subscribe(
        &self,
        _: &SessionInfo,
        request: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        Ok(self.verdict(request.filter.as_str()))
    }
}
