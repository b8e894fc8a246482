//! Lets everybody in as whom they say they are.

use std::sync::Arc;

use partyline_plugin::services::{Accounts, ServiceError, UserState};
use partyline_plugin::{
    Admission, AuthVerdict, Authenticate, ConnectRefusal, ConnectRequest, DeviceKey, HookResult,
    Owner, Plugin, PluginContext, Principal, Reason, Registrar, Role, UserLogin, async_trait,
};
use partyline_protocol::{AppKey, Class, Username};
use serde::{Deserialize, Serialize};

/// User names are `{app}`, `{app}/{user}` and `{app}/$service`.
#[derive(Debug)]
pub(crate) struct Door {
    gone: Vec<AppKey>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Apps that do not exist.
    gone: Vec<AppKey>,
}

#[async_trait]
impl Plugin for Door {
    const ID: &'static str = "door";
    type Config = Config;

    async fn build(_: PluginContext, config: Config) -> anyhow::Result<Self> {
        Ok(Self { gone: config.gone })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .authenticate(self.clone())
            .provides::<dyn Accounts>(self.clone());
    }
}

#[async_trait]
impl Authenticate for Door {
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        let refused = || AuthVerdict::Deny(ConnectRefusal::new(Reason::BadUserNameOrPassword));
        let name = request.username.as_deref().unwrap_or_default();
        let (app, who) = name.split_once('/').unzip();
        let Ok(app) = AppKey::parse(app.unwrap_or(name)) else {
            return Ok(refused());
        };
        let (role, user) = match who {
            None => (Role::Device, None),
            Some("$service") => (Role::Server, None),
            Some(user) => (Role::Device, Username::parse(user).ok()),
        };
        let client_id = request.client_id.clone();
        let owner = Owner::Device;
        Ok(AuthVerdict::Allow(Box::new(Admission {
            device: DeviceKey {
                app,
                owner,
                client_id,
            },
            principal: Principal {
                role,
                registration: None,
                user: user.map(|username| UserLogin {
                    username,
                    class: Class::Other,
                }),
            },
            connack_properties: Vec::new(),
            welcome: Vec::new(),
        })))
    }
}

#[async_trait]
impl Accounts for Door {
    async fn app_exists(&self, app: &AppKey) -> Result<bool, ServiceError> {
        Ok(!self.gone.contains(app))
    }

    async fn users(
        &self,
        _: &AppKey,
        usernames: &[Username],
    ) -> Result<Vec<Option<UserState>>, ServiceError> {
        Ok(vec![Some(UserState::Active); usernames.len()])
    }
}
