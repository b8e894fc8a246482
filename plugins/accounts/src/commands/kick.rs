//! `$im/session/kick`: a user takes another of their devices out.

use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Done, ErrorCode, KickDevice, KickReason, RequestError};

use super::{fault, registration, user};
use crate::AccountsPlugin;
use crate::ending::{KickOne, Kicking};
use crate::store;

impl AccountsPlugin {
    pub(super) async fn kick(
        self: Arc<Self>,
        cx: CommandCx,
        kick: KickDevice,
    ) -> Result<Done, RequestError> {
        let _turn = self.turns.of(cx.session.id).await;
        // A kick is carried out also for a connection that has ended in the meantime.
        let session = self.session_now(&cx).unwrap_or(cx.session);
        let (app, user, own) = (session.app(), user(&session)?, registration(&session)?);
        if *own == kick.registration_id {
            return Err(RequestError::new(ErrorCode::InvalidRequest)
                .with_detail("registration_id is this device's own, log out instead"));
        }
        let kick_one = KickOne {
            app: app.clone(),
            user: user.clone(),
            registration: kick.registration_id,
            request: cx.request_id.map(|id| (own.clone(), id)),
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
            Kicking::NotLoggedIn | Kicking::Repeated => Ok(Done {}),
            Kicking::NotTheirs => Err(ErrorCode::DeviceNotMatch.into()),
        }
    }
}
