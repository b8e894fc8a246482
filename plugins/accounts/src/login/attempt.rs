//! Verifying a user and logging them in.

use std::net::IpAddr;

use partyline_protocol::{AppKey, KickReason, Platform, Secret, Username};

use super::{LogIn, LoginError, LoginOutcome, Place, Proof};
use crate::ending::RemoveDevices;
use crate::hashing::{HashError, Verified};
use crate::secret::{self, SecretHash};
use crate::store::{self, Device, Token, User, UserDevice};
use crate::{AccountsPlugin, address, contact, password};

/// What a user brings.
#[derive(Clone, Copy)]
pub(crate) enum Brought<'a> {
    Password(&'a [u8]),
    Token(&'a [u8]),
}

/// Somebody wants to log in.
pub(crate) struct Attempt<'a> {
    pub(crate) app: &'a AppKey,
    pub(crate) user: &'a Username,
    pub(crate) brought: Brought<'a>,
    pub(crate) place: Place,
    /// What the device says it runs on, if it does.
    pub(crate) platform: Option<Platform>,
    pub(crate) peer: IpAddr,
    /// Whether the login ends a ban, instead of being refused by it.
    pub(crate) clears_ban: bool,
}

/// A login that succeeded.
pub(crate) struct LoggedInOn {
    pub(crate) device: Device,
    /// If newly issued.
    pub(crate) token: Option<Secret>,
    /// Whether older logins ended, which [`crate::enforcer`] then carries out.
    pub(crate) displaced: bool,
}

impl AccountsPlugin {
    pub(crate) async fn log_in(&self, attempt: Attempt<'_>) -> Result<LoggedInOn, LoginError> {
        match attempt.brought {
            Brought::Token(token) => self.by_token(&attempt, token).await,
            Brought::Password(password) => self.by_password(&attempt, password).await,
        }
    }

    /// Carries out that older logins ended. A failure is not the new login's: it is tried again.
    pub(crate) async fn kick_displaced(&self, app: &AppKey, user: &Username) {
        let kicked = self
            .enforcer
            .user_changed(app, user, KickReason::NewLogin)
            .await;
        if let Err(error) = kicked {
            tracing::warn!(
                ?error,
                "an older login could not be looked for, trying again"
            );
        }
    }

    async fn by_password(
        &self,
        attempt: &Attempt<'_>,
        password: &[u8],
    ) -> Result<LoggedInOn, LoginError> {
        // What can't be anybody's password needs neither a hash nor a count.
        if password::check(password).is_err() {
            return Err(LoginError::WrongPassword);
        }
        let (app, user, client_id) = (attempt.app, attempt.user, attempt.place.client_id());
        let now = self.directory.now();
        // A phone that was kicked and comes back by itself, again and again, has the right password.
        let is_refused = || self.failures.is_refused_on(app, user, client_id, now);
        if !attempt.clears_ban && is_refused() {
            return Err(LoginError::TooFast);
        }
        let counted = self.failures.try_password(attempt.peer, app, user, now);
        let counted = counted.ok_or(LoginError::TooFast)?;
        let verified = self.verify(app, user, password).await;
        if !matches!(verified, Ok(None)) {
            counted.take_back();
        }
        let Some((found, rehashed)) = verified? else {
            return Err(LoginError::WrongPassword);
        };
        if found.disabled {
            self.failures.refused_on(app, user, client_id, now);
            return Err(LoginError::Disabled);
        }
        let token = secret::new_token();
        let proof = Proof::Password {
            token: SecretHash::of(token.expose()),
            rehashed,
        };
        let changed = LoginError::WrongPassword;
        let committed = self.commit(attempt, found.generation, proof, changed).await;
        if matches!(committed, Err(LoginError::Banned)) {
            self.failures.refused_on(app, user, client_id, now);
        }
        let (device, displaced) = committed?;
        Ok(LoggedInOn {
            device,
            token: Some(token),
            displaced,
        })
    }

    /// The user and, if it is to be stored anew, the password's hash; `None` = there is no such
    /// user or it is not their password, which takes the same work.
    async fn verify(
        &self,
        app: &AppKey,
        user: &Username,
        password: &[u8],
    ) -> Result<Option<(User, Option<Secret>)>, LoginError> {
        let found = store::read(self.directory.database())
            .await?
            .user(app, user)
            .await?;
        let phc = found.as_ref().map(|user| user.password_phc.as_str());
        match self.directory.hasher().verify(password, phc).await {
            Ok(Verified::Right { rehashed }) => Ok(found.map(|found| (found, rehashed))),
            Ok(Verified::Wrong) => Ok(None),
            Err(HashError::Busy) => Err(LoginError::Busy),
            Err(HashError::Failed) => Err(LoginError::Unavailable),
        }
    }

    async fn by_token(
        &self,
        attempt: &Attempt<'_>,
        token: &[u8],
    ) -> Result<LoggedInOn, LoginError> {
        let hash = SecretHash::of(token);
        let found = store::read(self.directory.database())
            .await?
            .token(&hash)
            .await?;
        let found = found
            .filter(|found| is_for(found, attempt))
            .ok_or(LoginError::InvalidToken)?;
        let now = self.directory.now();
        // Before "revoked", since that is what a kick leaves behind.
        if !attempt.clears_ban && found.ban().is_some_and(|ban| ban.holds(now)) {
            return Err(LoginError::Banned);
        }
        if found.revoked {
            return Err(LoginError::InvalidToken);
        }
        if found.disabled {
            return Err(LoginError::Disabled);
        }
        let stored = found.device.platform();
        let is_renamed = attempt.platform.is_some_and(|platform| platform != stored);
        let clears = attempt.clears_ban && found.ban().is_some();
        if !is_renamed && !clears && contact::is_settled(&found.device) {
            self.seen.note(&found.device.registration, now);
            return Ok(LoggedInOn {
                device: found.device,
                token: None,
                displaced: false,
            });
        }
        let proof = Proof::Token { token: hash };
        let changed = LoginError::InvalidToken;
        let (device, displaced) = self
            .commit(attempt, found.generation, proof, changed)
            .await?;
        Ok(LoggedInOn {
            device,
            token: None,
            displaced,
        })
    }

    async fn commit(
        &self,
        attempt: &Attempt<'_>,
        generation: i64,
        proof: Proof,
        changed: LoginError,
    ) -> Result<(Device, bool), LoginError> {
        let config = self.directory.config();
        // Once more if room could be made for a device.
        for last in [false, true] {
            let log_in = LogIn {
                app: attempt.app.clone(),
                user: attempt.user.clone(),
                generation,
                proof: proof.clone(),
                place: attempt.place.clone(),
                platform: attempt.platform,
                registration: secret::new_registration_id().map_err(|_| LoginError::Unavailable)?,
                clears_ban: attempt.clears_ban,
                address: address::counted(attempt.peer).to_string(),
                devices_per_user: usize::try_from(config.devices.per_user).unwrap_or(usize::MAX),
                may_crowd: last,
                ban: config.ban.clone(),
                now: self.directory.now(),
            };
            match store::write(self.directory.database(), log_in).await? {
                LoginOutcome::In { device, displaced } => return Ok((*device, displaced)),
                LoginOutcome::Banned => return Err(LoginError::Banned),
                LoginOutcome::Changed => return Err(changed),
                LoginOutcome::TooManyDevices if last => break,
                LoginOutcome::TooManyDevices => {
                    if !self.make_room(attempt.app, attempt.user, false).await? {
                        break;
                    }
                }
                LoginOutcome::Crowded => {
                    self.make_room(attempt.app, attempt.user, true).await?;
                }
            }
        }
        Err(LoginError::DeviceLimit)
    }

    /// Removes the user's devices whose ids the broker made up and that are not connected: nobody
    /// comes back to those. Without this, twenty runs of a command-line client would fill the limit.
    /// If the rows are too many, the longest unseen of those without login and connection goes too.
    async fn make_room(
        &self,
        app: &AppKey,
        user: &Username,
        crowded: bool,
    ) -> Result<bool, sqlx::Error> {
        let devices = store::read(self.directory.database())
            .await?
            .user_devices(app, user)
            .await?;
        let mut room = !crowded;
        let gone: Vec<Device> = devices
            .into_iter()
            .filter(|UserDevice { device, .. }| self.broker.session_of(&device.key()).is_none())
            .filter(|UserDevice { device, logged_in }| {
                let goes = !room && !logged_in && device.owner.0.is_some();
                room |= goes;
                goes || device.assigned
            })
            .map(|device| device.device)
            .collect();
        if gone.is_empty() {
            return Ok(false);
        }
        store::write(self.directory.database(), RemoveDevices(gone)).await?;
        Ok(true)
    }
}

/// Whether the token is this user's, on this device.
fn is_for(token: &Token, attempt: &Attempt<'_>) -> bool {
    let here = match &attempt.place {
        Place::Device(device) => token.device.registration == device.registration,
        Place::Own { client_id, .. } => {
            token.device.owner.0.as_ref() == Some(attempt.user)
                && token.device.client_id == *client_id
        }
    };
    here && token.device.app == *attempt.app && token.username == *attempt.user
}
