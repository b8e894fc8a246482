//! Transactions that end a login or a device.

use async_trait::async_trait;
use partyline_protocol::{AppKey, KickReason, RegistrationId, RequestId, Username};

use crate::config::BanConfig;
use crate::login::end_and_ban;
use crate::store::{ChangeKind, Device, KickRequest, Store, Transaction};

/// A logout: the device's token is revoked.
#[derive(Debug)]
pub(crate) struct LogOut {
    pub(crate) app: AppKey,
    pub(crate) user: Username,
    pub(crate) registration: RegistrationId,
    pub(crate) now: i64,
}

#[async_trait]
impl Transaction for LogOut {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        store
            .revoke(&self.app, &self.user, &self.registration, self.now)
            .await?;
        Ok(())
    }
}

/// A user kicks one of their own devices.
#[derive(Debug)]
pub(crate) struct KickOne {
    pub(crate) app: AppKey,
    pub(crate) user: Username,
    pub(crate) registration: RegistrationId,
    /// The device that asks and the request's id, if it has one.
    pub(crate) request: Option<(RegistrationId, RequestId)>,
    pub(crate) ban: BanConfig,
    pub(crate) now: i64,
}

/// How a kick ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kicking {
    Kicked,
    /// This very request has done it before.
    Repeated,
    /// Nobody was logged in there any more; repeating a kick must not lengthen the ban.
    NotLoggedIn,
    /// The device is none of this user's.
    NotTheirs,
}

#[async_trait]
impl Transaction for KickOne {
    type Output = Kicking;

    async fn run(&self, store: &mut dyn Store) -> Result<Kicking, sqlx::Error> {
        let (app, user) = (&self.app, &self.user);
        store.lock_user(app, user).await?;
        let request = self.request.as_ref().map(|(device, id)| KickRequest {
            device,
            id: id.to_string(),
            user,
            target: &self.registration,
        });
        if let Some(request) = &request
            && store.has_kicked(request).await?
        {
            return Ok(Kicking::Repeated);
        }
        let logins = store.active_logins(app, user).await?;
        if let Some(login) = logins
            .iter()
            .find(|login| login.registration == self.registration)
        {
            end_and_ban(store, app, user, login, &self.ban, self.now).await?;
            // A request that found nobody to kick did nothing, and is not worth remembering.
            if let Some(request) = &request {
                store.note_kick(request, self.now).await?;
            }
            let kind = ChangeKind::Ended(KickReason::Device);
            store.log(kind, app, Some(user), self.now).await?;
            return Ok(Kicking::Kicked);
        }
        let Some(device) = store
            .device_by_registration(app, &self.registration)
            .await?
        else {
            return Ok(Kicking::NotTheirs);
        };
        let was_here = store.users_on(&self.registration).await?;
        let theirs = device.owner.0.as_ref() == Some(user)
            || was_here.iter().any(|name| name == user.as_str());
        Ok(if theirs {
            Kicking::NotLoggedIn
        } else {
            Kicking::NotTheirs
        })
    }
}

/// Devices are gone for good, unless they came back since they were read.
#[derive(Debug)]
pub(crate) struct RemoveDevices(pub(crate) Vec<Device>);

#[async_trait]
impl Transaction for RemoveDevices {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        for device in &self.0 {
            let now = store
                .device_by_registration(&device.app, &device.registration)
                .await?;
            let is_as_read =
                |now: Device| (now.last_seen, now.lasting) == (device.last_seen, device.lasting);
            if now.is_some_and(is_as_read) {
                remove_device(store, device).await?;
            }
        }
        Ok(())
    }
}

/// Deletes a device with its tokens, and has the streams of its users forget it.
pub(crate) async fn remove_device(
    store: &mut dyn Store,
    device: &Device,
) -> Result<(), sqlx::Error> {
    let Device {
        app,
        registration,
        owner,
        ..
    } = device;
    let mut users = store.users_on(registration).await?;
    users.extend(owner.0.as_ref().map(|owner| owner.as_str().to_owned()));
    for user in users.iter().filter_map(|user| Username::parse(user).ok()) {
        store
            .note_forget(app, Some(&user), Some(registration))
            .await?;
    }
    store.delete_device(registration).await?;
    Ok(())
}
