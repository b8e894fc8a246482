//! `$im/session/devices`: where the user is logged in.

use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{DeviceInfo, DeviceList, Devices, RequestError};

use super::{fault, user};
use crate::AccountsPlugin;
use crate::store::{self, UserDevice};

impl AccountsPlugin {
    pub(super) async fn devices(
        self: Arc<Self>,
        cx: CommandCx,
        _devices: Devices,
    ) -> Result<DeviceList, RequestError> {
        let _turn = self.turns.of(cx.session.id).await;
        let session = self.session_now(&cx)?;
        let user = user(&session)?;
        let mut store = store::read(self.directory.database())
            .await
            .map_err(|e| fault(&e))?;
        let found = store
            .user_devices(session.app(), user)
            .await
            .map_err(|e| fault(&e))?;
        let logged_in = found.into_iter().filter(|device| device.logged_in);
        let now = self.directory.now();
        let info = |UserDevice { device, .. }: UserDevice| {
            let session = self.broker.session_of(&device.key());
            let online = session.is_some_and(|session| session.principal.username() == Some(user));
            let seen = if online { now } else { device.last_seen };
            DeviceInfo {
                platform: device.platform(),
                registration_id: device.registration,
                client_id: device.client_id,
                online,
                last_seen: u64::try_from(seen).unwrap_or_default(),
            }
        };
        Ok(DeviceList {
            devices: logged_in.map(info).collect(),
        })
    }
}
