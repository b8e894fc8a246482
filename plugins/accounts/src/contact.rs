//! A device's contact: known by its secret, new, or refused.

use async_trait::async_trait;
use partyline_protocol::{AppKey, ClientId, Platform, RegistrationId};

use crate::secret::SecretHash;
use crate::store::{Device, PlaceOwner, Store, Transaction};

/// What a brought secret says about the device that has the client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is the device.
    Proven,
    /// The broker's secret may never have reached it, so another may take its place.
    Replaceable,
    /// It is not the device.
    Refused,
}

/// Judges a secret, by the hash it was brought with.
pub(crate) fn judge(device: &Device, brought: Option<&SecretHash>) -> Judgement {
    // The hashes are of secrets with full entropy: comparing them gives nothing away.
    if brought.is_some() && device.secret.as_ref() == brought {
        Judgement::Proven
    } else if device.replaceable {
        Judgement::Replaceable
    } else {
        Judgement::Refused
    }
}

/// Whether a proven contact changes what is stored.
pub(crate) fn is_settled(device: &Device) -> bool {
    !device.replaceable && (device.lasting || device.assigned)
}

/// The transaction of a contact.
#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) app: AppKey,
    pub(crate) client_id: ClientId,
    /// The broker made up the client id.
    pub(crate) assigned: bool,
    /// The secret that the device brought.
    pub(crate) brought: Option<SecretHash>,
    /// The secret to issue to one that brought none; `None` = it must be known already.
    pub(crate) issue: Option<SecretHash>,
    /// The registration id of a new device.
    pub(crate) registration: RegistrationId,
    /// Whether the app's policy lets it register.
    pub(crate) may_register: bool,
    pub(crate) address: String,
    /// How many devices that never came back one address may have.
    pub(crate) passing_limit: i64,
    pub(crate) now: i64,
}

/// How a contact ended.
#[derive(Debug)]
pub(crate) enum Contacted {
    /// It is known, or registered with its own secret.
    Known(Device),
    /// It must be told the secret that was issued to it.
    Issued(Device),
    /// Its secret is wrong.
    Refused,
    /// It is unknown and may not register.
    NotAllowed,
    /// Its address has too many devices that never came back.
    TooMany,
}

#[async_trait]
impl Transaction for Contact {
    type Output = Contacted;

    async fn run(&self, store: &mut dyn Store) -> Result<Contacted, sqlx::Error> {
        let owner = PlaceOwner(None);
        if let Some(device) = store.device(&self.app, &owner, &self.client_id).await? {
            return self.known(store, device).await;
        }
        let Some(secret) = self.brought.as_ref().or(self.issue.as_ref()) else {
            return Ok(Contacted::NotAllowed);
        };
        if !self.may_register {
            return Ok(Contacted::NotAllowed);
        }
        // Contacts side by side may overshoot by as many as there are writers, which harms nobody.
        if store.count_passing(&self.address).await? >= self.passing_limit {
            return Ok(Contacted::TooMany);
        }
        let device = self.new_device(secret.clone());
        if store.insert_device(&device).await? {
            return Ok(self.registered(device));
        }
        // The same contact, repeated, was faster on another connection.
        match store.device(&self.app, &owner, &self.client_id).await? {
            Some(device) => self.known(store, device).await,
            None => Ok(Contacted::Refused),
        }
    }
}

impl Contact {
    async fn known(
        &self,
        store: &mut dyn Store,
        mut device: Device,
    ) -> Result<Contacted, sqlx::Error> {
        match judge(&device, self.brought.as_ref()) {
            Judgement::Proven => {
                if !is_settled(&device) {
                    store.came_back(&device.registration, self.now).await?;
                    device.replaceable = false;
                    device.lasting = !device.assigned;
                }
                Ok(Contacted::Known(device))
            }
            Judgement::Replaceable if self.may_register => {
                let Some(secret) = self.brought.as_ref().or(self.issue.as_ref()) else {
                    return Ok(Contacted::Refused);
                };
                let replaceable = self.brought.is_none();
                store
                    .replace_secret(&device.registration, secret, replaceable)
                    .await?;
                device.replaceable = replaceable;
                device.secret = Some(secret.clone());
                Ok(self.registered(device))
            }
            Judgement::Replaceable | Judgement::Refused => Ok(Contacted::Refused),
        }
    }

    fn registered(&self, device: Device) -> Contacted {
        if self.brought.is_some() {
            Contacted::Known(device)
        } else {
            Contacted::Issued(device)
        }
    }

    fn new_device(&self, secret: SecretHash) -> Device {
        Device {
            registration: self.registration.clone(),
            app: self.app.clone(),
            owner: PlaceOwner(None),
            client_id: self.client_id.clone(),
            secret: Some(secret),
            replaceable: self.brought.is_none(),
            assigned: self.assigned,
            lasting: false,
            platform: Platform::Other.as_str().to_owned(),
            address: self.address.clone(),
            first_seen: self.now,
            last_seen: self.now,
        }
    }
}
