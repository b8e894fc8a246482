//! A device's contact: known by its secret, new, or refused.

use async_trait::async_trait;
use partyline_protocol::{AppKey, ClientId, Platform, RegistrationId};

use crate::ending::remove_device;
use crate::secret::SecretHash;
use crate::store::{Device, PlaceOwner, Store, Transaction};

/// What a brought secret says about the device that has the client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is the device.
    Proven,
    /// The broker's secret may never have reached it, so another may take its place, unless a user
    /// is logged in there: the login's answer came after the secret, so that had reached it too.
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
}

/// Looks at a device before giving up. Each but the first follows a commit that another contact of
/// the device made between a look and the change that it led to.
const LOOKS: usize = 4;

#[async_trait]
impl Transaction for Contact {
    type Output = Contacted;

    async fn run(&self, store: &mut dyn Store) -> Result<Contacted, sqlx::Error> {
        let owner = PlaceOwner(None);
        for _ in 0..LOOKS {
            let contacted = match store.device(&self.app, &owner, &self.client_id).await? {
                Some(device) => self.known(store, device).await?,
                None => self.first(store).await?,
            };
            if let Some(contacted) = contacted {
                return Ok(contacted);
            }
        }
        Ok(Contacted::Refused)
    }
}

impl Contact {
    /// `None` if the device has changed since it was read.
    async fn known(
        &self,
        store: &mut dyn Store,
        mut device: Device,
    ) -> Result<Option<Contacted>, sqlx::Error> {
        match (judge(&device, self.brought.as_ref()), &device.secret) {
            (Judgement::Proven, Some(secret)) => {
                if !is_settled(&device) {
                    let registration = &device.registration;
                    if !store.came_back(registration, secret, self.now).await? {
                        return Ok(None);
                    }
                    device.replaceable = false;
                    device.lasting = !device.assigned;
                }
                Ok(Some(Contacted::Known(device)))
            }
            (Judgement::Replaceable, Some(secret)) if self.may_register => {
                if !store.lock_replaceable(&device.registration, secret).await? {
                    return Ok(None);
                }
                if store.has_login(&device.registration).await? {
                    return Ok(Some(Contacted::Refused));
                }
                // It becomes another device: whoever guessed the client id gets neither the tags
                // nor the session of the one that was here.
                remove_device(store, &device).await?;
                self.first(store).await
            }
            _ => Ok(Some(Contacted::Refused)),
        }
    }

    /// `None` if another contact was faster.
    async fn first(&self, store: &mut dyn Store) -> Result<Option<Contacted>, sqlx::Error> {
        let secret = self.brought.as_ref().or(self.issue.as_ref());
        let Some(secret) = secret.filter(|_| self.may_register) else {
            return Ok(Some(Contacted::NotAllowed));
        };
        let device = self.new_device(secret.clone());
        let inserted = store.insert_device(&device).await?;
        Ok(inserted.then(|| self.registered(device)))
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
