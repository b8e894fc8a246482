//! `{appkey}/{username}`: a user, on a device.

use partyline_plugin::{AuthVerdict, ConnectRequest, HookError, HookResult, UserLogin};
use partyline_protocol::{Platform, Username};

use super::{password, wrong};
use crate::issued::Issued;
use crate::login::{Attempt, Brought, LoggedInOn, LoginError, Place};
use crate::store::App;
use crate::{AccountsPlugin, password as rules};

/// The MQTT 5 user property by which a user connection proves the device it sits on.
const DEVICE_SECRET: &str = "device_secret";
/// The MQTT 5 user property that names what the device runs on.
const PLATFORM: &str = "platform";

impl AccountsPlugin {
    pub(super) async fn user(
        &self,
        app: &App,
        user: &Username,
        request: &ConnectRequest,
    ) -> HookResult<AuthVerdict> {
        let Some(brought) = password(request) else {
            return Ok(wrong());
        };
        let brought = if rules::is_token(brought) {
            Brought::Token(brought)
        } else {
            Brought::Password(brought)
        };
        let place = match request.user_property(DEVICE_SECRET) {
            // Falling back to a device of the user's own would hide the mistake: another
            // registration, other tags, and an inbox that starts elsewhere.
            Some(secret) => {
                let Some(device) = self.proven_device(app, request, secret).await? else {
                    return Ok(self.wrong_secret(app, request));
                };
                Place::Device(Box::new(device))
            }
            None => Place::Own {
                client_id: request.client_id.clone(),
                assigned: request.client_id_assigned,
            },
        };
        let attempt = Attempt {
            app: &app.key,
            user,
            brought,
            place,
            platform: request.user_property(PLATFORM).map(Platform::parse),
            peer: request.peer.ip(),
            clears_ban: false,
        };
        let LoggedInOn {
            device,
            token,
            displaced,
        } = match self.log_in(attempt).await {
            Ok(done) => done,
            Err(LoginError::Database(error)) => return Err(HookError::new(error)),
            Err(error) => return Ok(AuthVerdict::Deny(error.refusal())),
        };
        if displaced {
            self.kick_displaced(&app.key, user).await;
        }
        let login = UserLogin {
            username: user.clone(),
            class: device.class(),
        };
        let issued = Issued {
            device_secret: None,
            token,
        };
        Ok(self.admit(device, Some(login), issued).await)
    }
}
