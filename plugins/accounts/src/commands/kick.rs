//! `$im/session/kick`: a user takes another of their devices out.

use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Done, ErrorCode, KickDevice, KickReason, RequestError};

use super::fault;
use crate::AccountsPlugin;
use crate::ending::{KickOne, Kicking};
use crate::store;

impl AccountsPlugin {
    pub(super) async fn kick(
        self: Arc<Self>,
        cx: CommandCx,
        kick: KickDevice,
    ) -> Result<Done, RequestError> {
        let (app, user) = (cx.session.app(), cx.username()?);
        if cx.session.principal.registration.as_ref() == Some(&kick.registration_id) {
            return Err(RequestError::new(ErrorCode::InvalidRequest)
                .with_detail("registration_id is this device's own, log out instead"));
        }
        let kick_one = KickOne {
            app: app.clone(),
            user: user.clone(),
            registration: kick.registration_id,
            ban: self.directory.config().ban.clone(),
            now: self.directory.now(),
        };
        let done = store::write(self.directory.database(), kick_one).await;
        match done.map_err(|error| fault(&error))? {
            Kicking::Kicked => {
                let ended = self
                    .enforcer
                    .user_changed(app, user, KickReason::Device)
                    .await;
                ended.map_err(|error| fault(&error))?;
                Ok(Done {})
            }
            Kicking::NotLoggedIn => Ok(Done {}),
            Kicking::NotTheirs => Err(ErrorCode::DeviceNotMatch.into()),
        }
    }
}
