//! The transaction of a login.

use async_trait::async_trait;
use partyline_protocol::{AppKey, ClientId, KickReason, Platform, RegistrationId, Username};

use crate::ban::Ban;
use crate::config::BanConfig;
use crate::secret::SecretHash;
use crate::store::{ActiveLogin, ChangeKind, Device, PlaceOwner, Store, Transaction};

/// The device that a user logs in on.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// One that is registered and proved itself.
    Device(Box<Device>),
    /// One of the user's own, registered by the login if need be.
    Own {
        client_id: ClientId,
        /// The broker made up the client id.
        assigned: bool,
    },
}

impl Place {
    pub(crate) fn client_id(&self) -> &ClientId {
        match self {
            Self::Device(device) => &device.client_id,
            Self::Own { client_id, .. } => client_id,
        }
    }
}

/// What the user was verified by.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// The password; a new token is issued.
    Password { token: SecretHash },
    /// A token, which must still hold.
    Token { token: SecretHash },
}

/// A verified user on a device.
#[derive(Debug)]
pub(crate) struct LogIn {
    pub(crate) app: AppKey,
    pub(crate) user: Username,
    /// The user's generation when they were verified.
    pub(crate) generation: i64,
    pub(crate) proof: Proof,
    pub(crate) place: Place,
    pub(crate) platform: Platform,
    /// The registration id of a new device.
    pub(crate) registration: RegistrationId,
    /// Whether the login ends a ban, instead of being refused by it.
    pub(crate) clears_ban: bool,
    pub(crate) address: String,
    pub(crate) devices_per_user: usize,
    pub(crate) ban: BanConfig,
    pub(crate) now: i64,
}

/// How a login ended.
#[derive(Debug)]
pub(crate) enum LoginOutcome {
    /// The user is in; `displaced` says whether an older login of the class ended.
    In {
        device: Box<Device>,
        displaced: bool,
    },
    /// The user was kicked from the device and must wait.
    Banned,
    /// The user has as many devices as allowed.
    TooManyDevices,
    /// User, device or token are no longer what was verified.
    Changed,
}

#[async_trait]
impl Transaction for LogIn {
    type Output = LoginOutcome;

    async fn run(&self, store: &mut dyn Store) -> Result<LoginOutcome, sqlx::Error> {
        let (app, user) = (&self.app, &self.user);
        if !store.begin_login(app, user, self.generation).await? {
            return Ok(LoginOutcome::Changed);
        }
        let client_id = self.place.client_id();
        let ban = store.ban(app, user, client_id).await?;
        if !self.clears_ban && ban.is_some_and(|ban| ban.holds(self.now)) {
            return Ok(LoginOutcome::Banned);
        }
        let registered = self.find_device(store).await?;
        if registered.is_none() && matches!(self.place, Place::Device(_)) {
            return Ok(LoginOutcome::Changed);
        }
        if let Proof::Token { token } = &self.proof {
            let holds = store.token(token).await?.is_some_and(|found| {
                let device = registered.as_ref().map(|device| &device.registration);
                !found.revoked && Some(&found.device.registration) == device
            });
            if !holds {
                return Ok(LoginOutcome::Changed);
            }
        }
        let here = registered.as_ref().map(|device| &device.registration);
        let others = store.active_logins(app, user).await?;
        let others = others
            .into_iter()
            .filter(|login| Some(&login.registration) != here);
        let (displaced, staying): (Vec<_>, Vec<_>) =
            others.partition(|login| displaces(self.platform, login.platform()));
        if staying.len() >= self.devices_per_user {
            return Ok(LoginOutcome::TooManyDevices);
        }

        if self.clears_ban && ban.is_some() {
            store.clear_ban(app, user, client_id).await?;
        }
        let device = match registered {
            Some(device) => self.settle(store, device).await?,
            None => self.register(store).await?,
        };
        if let Proof::Password { token } = &self.proof {
            // One user at a time on a device, and one token: so this is also the switch of users.
            store.delete_tokens(&device.registration).await?;
            store
                .insert_token(token, app, user, &device.registration, self.now)
                .await?;
        }
        for login in &displaced {
            if login.client_id == *client_id {
                // The same machine by another way in: a ban would hit this login too.
                store
                    .revoke(app, user, &login.registration, self.now)
                    .await?;
            } else {
                end_and_ban(store, app, user, login, &self.ban, self.now).await?;
            }
        }
        if !displaced.is_empty() {
            let kind = ChangeKind::Ended(KickReason::NewLogin);
            store.log(kind, app, Some(user), self.now).await?;
        }
        Ok(LoginOutcome::In {
            device: Box::new(device),
            displaced: !displaced.is_empty(),
        })
    }
}

/// Whether a login on the one platform kicks an older one on the other.
fn displaces(new: Platform, old: Platform) -> bool {
    new.class().is_exclusive() && new.class() == old.class()
}

/// Ends a login as a kick does: its token is revoked and the user refused from there for a while.
pub(crate) async fn end_and_ban(
    store: &mut dyn Store,
    app: &AppKey,
    user: &Username,
    login: &ActiveLogin,
    config: &BanConfig,
    now: i64,
) -> Result<(), sqlx::Error> {
    store.revoke(app, user, &login.registration, now).await?;
    let previous = store.ban(app, user, &login.client_id).await?;
    let ban = Ban::next(previous, now, config);
    store.set_ban(app, user, &login.client_id, ban).await
}

impl LogIn {
    async fn find_device(&self, store: &mut dyn Store) -> Result<Option<Device>, sqlx::Error> {
        match &self.place {
            Place::Device(device) => {
                store
                    .device_by_registration(&self.app, &device.registration)
                    .await
            }
            Place::Own { client_id, .. } => {
                let owner = PlaceOwner(Some(self.user.clone()));
                store.device(&self.app, &owner, client_id).await
            }
        }
    }

    async fn settle(
        &self,
        store: &mut dyn Store,
        mut device: Device,
    ) -> Result<Device, sqlx::Error> {
        store
            .set_platform(&device.registration, self.platform, self.now)
            .await?;
        self.platform.as_str().clone_into(&mut device.platform);
        Ok(device)
    }

    async fn register(&self, store: &mut dyn Store) -> Result<Device, sqlx::Error> {
        let Place::Own {
            client_id,
            assigned,
        } = &self.place
        else {
            return Err(sqlx::Error::RowNotFound);
        };
        self.make_room(store).await?;
        let device = Device {
            registration: self.registration.clone(),
            app: self.app.clone(),
            owner: PlaceOwner(Some(self.user.clone())),
            client_id: client_id.clone(),
            secret: None,
            replaceable: false,
            assigned: *assigned,
            // The user has proven it, and has only so many.
            lasting: !assigned,
            platform: self.platform.as_str().to_owned(),
            address: self.address.clone(),
            first_seen: self.now,
            last_seen: self.now,
        };
        store.insert_device(&device).await?;
        Ok(device)
    }

    /// The user's own devices take as many rows as the user may have devices: the longest unseen
    /// of those without a login goes.
    async fn make_room(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        let devices = store.user_devices(&self.app, &self.user).await?;
        let owned = devices
            .iter()
            .filter(|device| device.device.owner.0.is_some());
        if owned.clone().count() >= self.devices_per_user
            && let Some(oldest) = owned.clone().find(|device| !device.logged_in)
        {
            let registration = &oldest.device.registration;
            store
                .note_forget(&self.app, Some(&self.user), Some(registration))
                .await?;
            store.delete_device(registration).await?;
        }
        Ok(())
    }
}
