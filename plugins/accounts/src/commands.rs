//! The commands under `$im/session/` that are this plugin's.

mod devices;
mod kick;
mod login;
mod logout;

use std::sync::Arc;

use partyline_plugin::{CommandCx, Registrar, Role, SessionInfo};
use partyline_protocol::{ErrorCode, RegistrationId, RequestError, Username, names};

use crate::AccountsPlugin;

pub(crate) fn register(plugin: &Arc<AccountsPlugin>, registrar: &mut Registrar) {
    let reply = names::IM_REPLY;
    registrar
        .command(
            names::SESSION_LOGIN,
            reply,
            plugin,
            |plugin, cx, login| async move { plugin.login(cx, login).await },
        )
        .command(
            names::SESSION_LOGOUT,
            reply,
            plugin,
            |plugin, cx, logout| async move { plugin.logout(cx, logout).await },
        )
        .command(
            names::SESSION_DEVICES,
            reply,
            plugin,
            |plugin, cx, devices| async move { plugin.devices(cx, devices).await },
        )
        .command(
            names::SESSION_KICK,
            reply,
            plugin,
            |plugin, cx, kick| async move { plugin.kick(cx, kick).await },
        );
}

impl AccountsPlugin {
    /// The connection as it is now, not as it was when the command arrived: a login before it may
    /// have changed the user.
    fn session_now(&self, cx: &CommandCx) -> Result<Arc<SessionInfo>, RequestError> {
        // Nobody is left to read the error.
        self.broker
            .session(cx.session.id)
            .ok_or_else(|| ErrorCode::SystemError.into())
    }
}

/// The user of the connection, or the error for a verb that needs one.
fn user(session: &SessionInfo) -> Result<&Username, RequestError> {
    session
        .principal
        .username()
        .ok_or_else(|| ErrorCode::UserLogout.into())
}

/// The registration of a device's connection; servers and anonymous ones have none.
fn registration(session: &SessionInfo) -> Result<&RegistrationId, RequestError> {
    match (session.principal.role, &session.principal.registration) {
        (Role::Device, Some(registration)) => Ok(registration),
        _ => Err(RequestError::new(ErrorCode::NoPermission).with_detail("not a device")),
    }
}

/// A fault of the database, logged here since the client is told nothing of it.
fn fault(error: &sqlx::Error) -> RequestError {
    tracing::error!(?error, "a session command failed in the database");
    ErrorCode::SystemError.into()
}
