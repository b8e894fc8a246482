//! `{appkey}/$service`: the app's own server.

use partyline_plugin::{
    Admission, AuthVerdict, ConnectRequest, DeviceKey, HookError, HookResult, Owner, Principal,
    Role,
};
use partyline_protocol::AppKey;

use super::{password, wrong};
use crate::AccountsPlugin;

impl AccountsPlugin {
    pub(super) async fn server(
        &self,
        app: &AppKey,
        request: &ConnectRequest,
    ) -> HookResult<AuthVerdict> {
        let app = self.directory.app(app).await.map_err(HookError::new)?;
        let brought = password(request).unwrap_or_default();
        let Some(app) = app.filter(|app| app.master.matches(brought)) else {
            return Ok(wrong());
        };
        let device = DeviceKey {
            app: app.key.clone(),
            owner: Owner::Server,
            client_id: request.client_id.clone(),
        };
        self.enforcer
            .server_admitted(device.clone(), app.master.clone());
        Ok(AuthVerdict::Allow(Box::new(Admission {
            device,
            principal: Principal {
                role: Role::Server,
                registration: None,
                user: None,
            },
            connack_properties: Vec::new(),
            welcome: Vec::new(),
        })))
    }
}
