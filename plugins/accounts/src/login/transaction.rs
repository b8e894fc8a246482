//! The transaction of a login.

use async_trait::async_trait;
use partyline_protocol::{
    AppKey, Class, ClientId, KickReason, Platform, RegistrationId, Secret, Username,
};

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
    Password {
        token: SecretHash,
        /// The password's hash at the present cost, if it was stored at another.
        rehashed: Option<Secret>,
    },
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
    /// What the device says it runs on; `None` = what it said before.
    pub(crate) platform: Option<Platform>,
    /// The registration id of a new device.
    pub(crate) registration: RegistrationId,
    /// Whether the login ends a ban, instead of being refused by it.
    pub(crate) clears_ban: bool,
    pub(crate) address: String,
    pub(crate) devices_per_user: usize,
    /// Whether the user may have a row too many, since none could be removed.
    pub(crate) may_crowd: bool,
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
    /// The user is logged in on as many devices as allowed.
    TooManyDevices,
    /// The user's devices take as many rows as allowed, and one without a login could go.
    Crowded,
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
        let is_new = registered.is_none();
        let device = registered.map_or_else(|| self.new_device(), |device| self.renewed(device));
        let others = store.active_logins(app, user).await?;
        let others = others
            .into_iter()
            .filter(|login| login.registration != device.registration);
        let (displaced, staying): (Vec<_>, Vec<_>) =
            others.partition(|login| displaces(device.class(), login.class()));
        if staying.len() >= self.devices_per_user {
            return Ok(LoginOutcome::TooManyDevices);
        }
        if is_new && !self.may_crowd && self.is_crowded(store).await? {
            return Ok(LoginOutcome::Crowded);
        }

        let is_there = if is_new {
            store.insert_device(&device).await?
        } else {
            store
                .set_platform(&device.registration, device.platform(), self.now)
                .await?
        };
        if !is_there {
            return Ok(LoginOutcome::Changed);
        }
        if self.clears_ban && ban.is_some() {
            store.clear_ban(app, user, client_id).await?;
        }
        if let Proof::Password { token, rehashed } = &self.proof {
            if let Some(phc) = rehashed {
                store.set_phc(app, user, phc.expose()).await?;
            }
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

/// Whether a login of the one class kicks an older one of the other.
fn displaces(new: Class, old: Class) -> bool {
    new.is_exclusive() && new == old
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

    /// The registered device as the login leaves it.
    fn renewed(&self, device: Device) -> Device {
        // A password CONNECT of 3.1.1 has nowhere to name the platform, nor has one by token.
        let platform = self.platform.unwrap_or(device.platform());
        Device {
            platform: platform.as_str().to_owned(),
            ..device
        }
    }

    fn new_device(&self) -> Device {
        let assigned = match &self.place {
            Place::Device(device) => device.assigned,
            Place::Own { assigned, .. } => *assigned,
        };
        Device {
            registration: self.registration.clone(),
            app: self.app.clone(),
            owner: PlaceOwner(Some(self.user.clone())),
            client_id: self.place.client_id().clone(),
            secret: None,
            replaceable: false,
            assigned,
            // The user has proven it, and has only so many.
            lasting: !assigned,
            platform: self.platform.unwrap_or_default().as_str().to_owned(),
            address: self.address.clone(),
            first_seen: self.now,
            last_seen: self.now,
        }
    }

    /// Whether a device without a login stands in the way of a new one: the user's own devices take
    /// as many rows as the user may have devices.
    async fn is_crowded(&self, store: &mut dyn Store) -> Result<bool, sqlx::Error> {
        let devices = store.user_devices(&self.app, &self.user).await?;
        let owned = devices
            .iter()
            .filter(|device| device.device.owner.0.is_some());
        let logged_out = owned.clone().any(|device| !device.logged_in);
        Ok(logged_out && owned.count() >= self.devices_per_user)
    }
}
