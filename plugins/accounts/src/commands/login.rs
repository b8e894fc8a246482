//! `$im/session/login`: a user logs in on an open connection.

use std::sync::Arc;

use partyline_plugin::{CommandCx, Owner, UserLogin};
use partyline_protocol::{Credential, Epoch, ErrorCode, LoggedIn, Login, RequestError, Seq};

use super::{fault, registration};
use crate::AccountsPlugin;
use crate::login::{Attempt, Brought, LoggedInOn, Place};
use crate::store;

impl AccountsPlugin {
    pub(super) async fn login(
        self: Arc<Self>,
        cx: CommandCx,
        login: Login,
    ) -> Result<LoggedIn, RequestError> {
        let _turn = self.turns.of(cx.session.id).await;
        let session = self.session_now(&cx)?;
        let registration = registration(&session)?;
        let brought = match login.credential()? {
            Credential::Password(password) => Brought::Password(password.expose().as_bytes()),
            Credential::Token(token) => Brought::Token(token.expose().as_bytes()),
        };
        let (app, user) = (session.app(), &login.username);
        // On another user's own device, that user could take over the session and the pushes.
        if matches!(&session.device.owner, Owner::User(owner) if owner != user) {
            return Err(RequestError::new(ErrorCode::InvalidDevice)
                .with_detail("it is another user's own; connect as a device to switch users"));
        }
        let mut store = store::read(self.directory.database())
            .await
            .map_err(|e| fault(&e))?;
        let device = store
            .device_by_registration(app, registration)
            .await
            .map_err(|e| fault(&e))?;
        drop(store);
        let device = device.ok_or_else(|| RequestError::new(ErrorCode::InvalidDevice))?;
        let attempt = Attempt {
            app,
            user,
            brought,
            place: Place::Device(Box::new(device)),
            platform: login.platform,
            peer: session.peer.ip(),
            clears_ban: session.device.owner == Owner::Device,
        };
        let LoggedInOn {
            device,
            token,
            displaced,
        } = self.log_in(attempt).await?;

        let now = self.directory.now();
        self.issued
            .login_changed(&session.device, session.id, token.clone(), now);
        let principal = UserLogin {
            username: user.clone(),
            class: device.class(),
        };
        let changed = self.broker.set_user(session.id, Some(principal)).await;
        changed.map_err(|_| RequestError::new(ErrorCode::SystemError))?;
        if displaced {
            self.kick_displaced(app, user).await;
        }
        let place = self.notices.place(app, user).await;
        let (epoch, head) = place.map(|place| (place.epoch, place.head)).unzip();
        // Where nobody keeps streams, the place is that of an empty one.
        let none = || Epoch::parse("0").map_err(|_| RequestError::new(ErrorCode::SystemError));
        Ok(LoggedIn {
            token,
            registration_id: device.registration,
            epoch: epoch.map_or_else(none, Ok)?,
            head: head.unwrap_or(Seq::ZERO),
        })
    }
}
