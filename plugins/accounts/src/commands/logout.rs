//! `$im/session/logout`: the connection is a device's again.

use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Done, ErrorCode, Logout, RequestError};

use super::{fault, registration};
use crate::AccountsPlugin;
use crate::ending::LogOut;
use crate::store;

impl AccountsPlugin {
    pub(super) async fn logout(
        self: Arc<Self>,
        cx: CommandCx,
        _logout: Logout,
    ) -> Result<Done, RequestError> {
        let _turn = self.turns.of(cx.session.id).await;
        let session = self.session_now(&cx)?;
        let registration = registration(&session)?;
        // Done already: a repeated logout is answered as before.
        let Some(user) = session.principal.username() else {
            return Ok(Done {});
        };
        let now = self.directory.now();
        let log_out = LogOut {
            app: session.app().clone(),
            user: user.clone(),
            registration: registration.clone(),
            now,
        };
        store::write(self.directory.database(), log_out)
            .await
            .map_err(|error| fault(&error))?;
        self.issued
            .login_changed(&session.device, session.id, None, now);
        let changed = self.broker.set_user(session.id, None).await;
        changed.map_err(|_| RequestError::new(ErrorCode::SystemError))?;
        self.enforcer.logged_out(&session.device);
        Ok(Done {})
    }
}
