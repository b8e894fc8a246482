//! A plugin that lets everybody in, for tests of other plugins.

use std::sync::Arc;

use partyline_plugin::protocol::{AppKey, Class, Username};
use partyline_plugin::{
    AccessVerdict, Admission, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe,
    ConnectRefusal, ConnectRequest, DeviceKey, FilterOptions, HookResult, Message, Owner, Plugin,
    PluginContext, Principal, Reason, Registrar, Role, SessionInfo, SubscribeRequest, UserLogin,
    async_trait,
};
use serde_json::{Map, Value};

use crate::TEST_APP;

/// Lets everybody in as whom they say they are, whatever the password, and allows every plain topic.
///
/// Without a user name, a client is a device of [`TEST_APP`]; `alice` is a user of that app on
/// the device of that client id, and `$service` the app's server. An app key or `{app key}/` in
/// front names another app.
///
/// It takes no configuration: `builder.plugin::<OpenDoor>(json!({}))`. Its access hooks decide
/// everything, so put it behind a plugin under test that has some.
#[derive(Debug)]
pub struct OpenDoor;

impl OpenDoor {
    fn admit(request: &ConnectRequest) -> Option<Admission> {
        let name = request.username.as_deref().unwrap_or(TEST_APP);
        let (app, who) = match (name.split_once('/'), AppKey::parse(name)) {
            (Some((app, who)), _) => (AppKey::parse(app).ok()?, Some(who)),
            (None, Ok(app)) => (app, None),
            (None, Err(_)) => (AppKey::parse(TEST_APP).ok()?, Some(name)),
        };
        let (role, user) = match who {
            None => (Role::Device, None),
            Some("$service") => (Role::Server, None),
            Some(user) => (Role::Device, Some(Username::parse(user).ok()?)),
        };
        let user = user.map(|username| UserLogin {
            username,
            class: Class::Other,
        });
        let owner = match role {
            Role::Server => Owner::Server,
            _ => Owner::Device,
        };
        Some(Admission {
            device: DeviceKey {
                app,
                owner,
                client_id: request.client_id.clone(),
            },
            principal: Principal {
                role,
                registration: None,
                user,
            },
            connack_properties: Vec::new(),
            welcome: Vec::new(),
        })
    }
}

#[async_trait]
impl Plugin for OpenDoor {
    const ID: &'static str = "open-door";
    type Config = Map<String, Value>;

    fn validate(config: &Self::Config) -> anyhow::Result<()> {
        anyhow::ensure!(config.is_empty(), "there is nothing to configure");
        Ok(())
    }

    async fn build(_: PluginContext, _: Self::Config) -> anyhow::Result<Self> {
        Ok(Self)
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
        Ok(match Self::admit(request) {
            Some(admission) => AuthVerdict::Allow(Box::new(admission)),
            None => AuthVerdict::Deny(ConnectRefusal::new(Reason::BadUserNameOrPassword)),
        })
    }
}

#[async_trait]
impl AuthorizePublish for OpenDoor {
    async fn authorize_publish(&self, _: &SessionInfo, _: &Message) -> HookResult<AccessVerdict> {
        Ok(AccessVerdict::Allow)
    }
}

#[async_trait]
impl AuthorizeSubscribe for OpenDoor {
    async fn authorize_subscribe(
        &self,
        _: &SessionInfo,
        _: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        Ok(AccessVerdict::Allow)
    }
}
