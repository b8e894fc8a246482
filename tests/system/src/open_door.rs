//! A plugin that lets everybody in, for tests of the kernel alone.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, Admission, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe,
    ConnectRefusal, ConnectRequest, DeviceKey, FilterOptions, HookResult, Message, Owner, Plugin,
    PluginContext, Principal, Reason, Registrar, Role, SessionInfo, SubscribeRequest,
};
use partyline_protocol::AppKey;
use serde::{Deserialize, Serialize};

/// The app of clients that name none.
pub const APP: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";
/// Another app.
pub const OTHER_APP: &str = "bbbbbbbbbbbbbbbbbbbbbbbb";

/// The user name is the app key, [`APP`] if there is none, of the app's server with `/$service`
/// behind it. Every plain topic is allowed but those under `secret/`, and under `members/` only to
/// who is logged in.
#[derive(Debug)]
pub struct OpenDoor(Config);

/// What it does with who names no app.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Leaves them to the broker, but for the client id `banned`, which it refuses.
    pub leaves_strangers: bool,
}

#[async_trait]
impl Plugin for OpenDoor {
    const ID: &'static str = "open-door";
    type Config = Config;

    async fn build(_: PluginContext, config: Config) -> anyhow::Result<Self> {
        Ok(Self(config))
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .authenticate(self.clone())
            .authorize_publish(FilterOptions::default(), self.clone())
            .authorize_subscribe(FilterOptions::default(), self.clone());
    }
}

#[async_trait]
impl Authenticate for OpenDoor {
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        let refused = || AuthVerdict::Deny(ConnectRefusal::new(Reason::BadUserNameOrPassword));
        if self.0.leaves_strangers && request.username.is_none() {
            return Ok(match request.client_id.as_str() {
                "banned" => AuthVerdict::Deny(ConnectRefusal::new(Reason::Banned)),
                _ => AuthVerdict::Next,
            });
        }
        let name = request.username.as_deref().unwrap_or(APP);
        let (app, role, owner) = match name.strip_suffix("/$service") {
            Some(app) => (app, Role::Server, Owner::Server),
            None => (name, Role::Device, Owner::Device),
        };
        let Ok(app) = AppKey::parse(app) else {
            return Ok(refused());
        };
        let client_id = request.client_id.clone();
        Ok(AuthVerdict::Allow(Box::new(Admission {
            device: DeviceKey {
                app,
                owner,
                client_id,
            },
            principal: Principal {
                role,
                registration: None,
                user: None,
            },
            connack_properties: vec![
                ("door".to_owned(), "open".to_owned()),
                // Long enough to be left out for a client that takes small packets only.
                (
                    "motto".to_owned(),
                    "everybody is welcome to this party, and so is their dog".to_owned(),
                ),
            ],
            welcome: Vec::new(),
        })))
    }
}

fn allowed(session: &SessionInfo, topic: &str) -> AccessVerdict {
    let stranger = session.principal.user.is_none();
    if topic.starts_with("secret/") || (stranger && topic.starts_with("members/")) {
        AccessVerdict::Deny(Reason::NotAuthorized)
    } else {
        AccessVerdict::Allow
    }
}

#[async_trait]
impl AuthorizePublish for OpenDoor {
    async fn authorize_publish(
        &self,
        session: &SessionInfo,
        message: &Message,
    ) -> HookResult<AccessVerdict> {
        Ok(allowed(session, message.topic.as_str()))
    }
}

#[async_trait]
impl AuthorizeSubscribe for OpenDoor {
    async fn authorize_subscribe(
        &self,
        session: &SessionInfo,
        request: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        Ok(allowed(session, request.filter.as_str()))
    }
}
