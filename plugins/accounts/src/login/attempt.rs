//! Verifying a user and logging them in.

use std::net::IpAddr;

use partyline_protocol::{AppKey, KickReason, Platform, Secret, Username};

use super::{LogIn, LoginError, LoginOutcome, Place, Proof};
use crate::hashing::HashError;
use crate::secret::{self, SecretHash};
use crate::store::{self, Device, Token};
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
        let (app, user) = (attempt.app, attempt.user);
        let now = self.directory.now();
        if !self.failures.allows(attempt.peer, app, user, now) {
            return Err(LoginError::TooFast);
        }
        // Whether the user exists decides nothing before the hash is made.
        let found = store::read(self.directory.database())
            .await?
            .user(app, user)
            .await?;
        let phc = found.as_ref().map(|user| user.password_phc.as_str());
        let possible = password::check(password).is_ok();
        let right = possible
            && match self.directory.hasher().verify(password, phc).await {
                Ok(right) => right,
                Err(HashError::Busy) => return Err(LoginError::Busy),
                Err(HashError::Failed) => return Err(LoginError::Unavailable),
            };
        let Some(found) = found.filter(|_| right) else {
            self.failures.failed(attempt.peer, app, user, now);
            return Err(LoginError::WrongPassword);
        };
        if found.disabled {
            return Err(LoginError::Disabled);
        }
        let token = secret::new_token();
        let proof = Proof::Password {
            token: SecretHash::of(token.expose()),
        };
        let platform = attempt.platform.unwrap_or_default();
        let changed = LoginError::WrongPassword;
        let (device, displaced) = self
            .commit(attempt, found.generation, proof, platform, changed)
            .await?;
        Ok(LoggedInOn {
            device,
            token: Some(token),
            displaced,
        })
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
        // 3.1.1 has nowhere to name it on a CONNECT, so what the login named stays.
        let platform = attempt.platform.unwrap_or(stored);
        let clears = attempt.clears_ban && found.ban().is_some();
        if platform == stored && !clears && contact::is_settled(&found.device) {
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
            .commit(attempt, found.generation, proof, platform, changed)
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
        platform: Platform,
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
                platform,
                registration: secret::new_registration_id().map_err(|_| LoginError::Unavailable)?,
                clears_ban: attempt.clears_ban,
                address: address::counted(attempt.peer).to_string(),
                devices_per_user: usize::try_from(config.devices.per_user).unwrap_or(usize::MAX),
                ban: config.ban.clone(),
                now: self.directory.now(),
            };
            match store::write(self.directory.database(), log_in).await? {
                LoginOutcome::In { device, displaced } => return Ok((*device, displaced)),
                LoginOutcome::Banned => return Err(LoginError::Banned),
                LoginOutcome::Changed => return Err(changed),
                LoginOutcome::TooManyDevices if last => break,
                LoginOutcome::TooManyDevices => {
                    if !self.remove_passing(attempt.app, attempt.user).await? {
                        break;
                    }
                }
            }
        }
        Err(LoginError::DeviceLimit)
    }

    /// Removes the user's devices whose ids the broker made up and that are not connected: nobody
    /// comes back to those. Without this, twenty runs of a command-line client would fill the limit.
    async fn remove_passing(&self, app: &AppKey, user: &Username) -> Result<bool, sqlx::Error> {
        let devices = store::read(self.directory.database())
            .await?
            .user_devices(app, user)
            .await?;
        let gone: Vec<Device> = devices
            .into_iter()
            .map(|device| device.device)
            .filter(|device| device.assigned && self.broker.session_of(&device.key()).is_none())
            .collect();
        if gone.is_empty() {
            return Ok(false);
        }
        store::write(
            self.directory.database(),
            crate::ending::RemoveDevices(gone),
        )
        .await?;
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
