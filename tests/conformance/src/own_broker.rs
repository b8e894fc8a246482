//! Our own broker, in this process.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{
    AccessVerdict, Admission, AuthVerdict, Authenticate, AuthorizePublish, AuthorizeSubscribe,
    ConnectRequest, DeviceKey, FilterOptions, HookResult, Message, Owner, Plugin, PluginContext,
    Principal, Registrar, Role, SessionInfo, SubscribeRequest,
};
use partyline_protocol::AppKey;
use partyline_testkit::TestBroker;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::BrokerAddresses;

/// A broker on free ports that lets everybody in and allows every plain topic.
#[derive(Debug)]
pub struct OwnBroker(TestBroker);

impl OwnBroker {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Self> {
        let builder = TestBroker::builder().plugin::<OpenHouse>(json!({}));
        Ok(Self(builder.start().await?))
    }

    /// Where it listens.
    pub fn addresses(&self) -> BrokerAddresses {
        let addresses = self.0.addresses();
        BrokerAddresses {
            mqtt: addresses.mqtt,
            websocket: Some(addresses.ws),
        }
    }

    /// Stops it.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}

/// Any user name and password will do.
#[derive(Debug)]
struct OpenHouse {
    app: AppKey,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

#[async_trait]
impl Plugin for OpenHouse {
    const ID: &'static str = "open-house";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        let app = AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa")?;
        Ok(Self { app })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .authenticate(self.clone())
            .authorize_publish(FilterOptions::default(), self.clone())
            .authorize_subscribe(FilterOptions::default(), self.clone());
    }
}

#[async_trait]
impl Authenticate for OpenHouse {
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        Ok(AuthVerdict::Allow(Box::new(Admission {
            device: DeviceKey {
                app: self.app.clone(),
                owner: Owner::Device,
                client_id: request.client_id.clone(),
            },
            principal: Principal {
                role: Role::Device,
                registration: None,
                user: None,
            },
            connack_properties: Vec::new(),
            welcome: Vec::new(),
        })))
    }
}

#[async_trait]
impl AuthorizePublish for OpenHouse {
    async fn authorize_publish(&self, _: &SessionInfo, _: &Message) -> HookResult<AccessVerdict> {
        Ok(AccessVerdict::Allow)
    }
}

#[async_trait]
impl AuthorizeSubscribe for OpenHouse {
    async fn authorize_subscribe(
        &self,
        _: &SessionInfo,
        _: &SubscribeRequest,
    ) -> HookResult<AccessVerdict> {
        Ok(AccessVerdict::Allow)
    }
}
