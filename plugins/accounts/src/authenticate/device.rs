//! `{appkey}`: a device.

use partyline_plugin::{AuthVerdict, ConnectRequest, HookError, HookResult};
use partyline_protocol::{Reason, Secret};

use super::{deny, password};
use crate::contact::{self, Contact, Contacted, Judgement};
use crate::issued::Issued;
use crate::secret::{MIN_DEVICE_SECRET, REGISTRATION_PREFIX, SecretHash};
use crate::store::{self, App, Device, PlaceOwner};
use crate::{AccountsPlugin, Registration, address, secret};

/// The MQTT 5 user property that carries an app's registration token.
const REGISTRATION_TOKEN: &str = "registration_token";

impl AccountsPlugin {
    pub(super) async fn device(
        &self,
        app: &App,
        request: &ConnectRequest,
    ) -> HookResult<AuthVerdict> {
        let brought = password(request);
        // 3.1.1 has only the password for it, so such a device leaves its secret to the broker.
        let (own, token) = match brought {
            Some(bytes) if bytes.starts_with(REGISTRATION_PREFIX.as_bytes()) => (None, Some(bytes)),
            own => (
                own,
                request.user_property(REGISTRATION_TOKEN).map(str::as_bytes),
            ),
        };
        if own.is_some_and(|secret| secret.len() < MIN_DEVICE_SECRET) {
            let message = "a device's own secret has at least 16 bytes";
            return Ok(deny(Reason::BadUserNameOrPassword, message));
        }
        let brought = own.map(SecretHash::of);
        let may_register = may_register(app, token);
        let known = self.find(app, request).await?;
        let judgement = known
            .as_ref()
            .map(|device| contact::judge(device, brought.as_ref()));
        // Refusals cost a read at most: whoever repeats them must not keep those waiting who have
        // something to write.
        let is_new = match (judgement, known) {
            (Some(Judgement::Proven), Some(device)) if contact::is_settled(&device) => {
                self.seen.note(&device.registration, self.directory.now());
                return Ok(self.admit(device, None, Issued::default()).await);
            }
            (Some(Judgement::Proven), _) => false,
            (Some(Judgement::Replaceable), Some(device))
                if may_register && !self.has_login(&device).await? =>
            {
                true
            }
            (Some(_), _) => return Ok(self.wrong_secret(app, request)),
            (None, _) if may_register => true,
            (None, _) => return Ok(not_allowed()),
        };
        if is_new && let Some(refusal) = self.too_many_contacts(request).await? {
            return Ok(refusal);
        }
        let new_secret = brought.is_none().then(secret::new_device_secret);
        let contact = self.contact(app, request, brought, new_secret.as_ref(), may_register)?;
        let contacted = store::write(self.directory.database(), contact).await;
        Ok(match contacted.map_err(HookError::new)? {
            Contacted::Known(device) => self.admit(device, None, Issued::default()).await,
            Contacted::Issued(device) => {
                let issued = Issued {
                    device_secret: new_secret,
                    token: None,
                };
                self.admit(device, None, issued).await
            }
            Contacted::Refused => self.wrong_secret(app, request),
            Contacted::NotAllowed => not_allowed(),
        })
    }

    /// The device with the request's client id, if `secret` is its own: what a user proves that
    /// sits on it. Registers nothing.
    pub(super) async fn proven_device(
        &self,
        app: &App,
        request: &ConnectRequest,
        secret: &str,
    ) -> HookResult<Option<Device>> {
        let brought = SecretHash::of(secret);
        let known = self.find(app, request).await?;
        let proven =
            known.filter(|device| contact::judge(device, Some(&brought)) == Judgement::Proven);
        let Some(device) = proven else {
            return Ok(None);
        };
        if contact::is_settled(&device) {
            self.seen.note(&device.registration, self.directory.now());
            return Ok(Some(device));
        }
        let contact = self.contact(app, request, Some(brought), None, false)?;
        let contacted = store::write(self.directory.database(), contact).await;
        Ok(match contacted.map_err(HookError::new)? {
            Contacted::Known(device) => Some(device),
            _ => None,
        })
    }

    /// The refusal of a device that brought another secret than its own, or none.
    pub(super) fn wrong_secret(&self, app: &App, request: &ConnectRequest) -> AuthVerdict {
        let (peer, now) = (request.peer.ip(), self.directory.now());
        if self
            .failures
            .wrong_secret(peer, &app.key, &request.client_id, now)
        {
            deny(
                Reason::BadUserNameOrPassword,
                "the device secret is wrong or missing",
            )
        } else {
            let message = "too many wrong device secrets, try again later";
            deny(Reason::ConnectionRateExceeded, message)
        }
    }

    /// The refusal of a first contact, or of one that asks for another secret, if there were too
    /// many from its address. Contacts side by side may overshoot the standing limit, which harms
    /// nobody.
    async fn too_many_contacts(&self, request: &ConnectRequest) -> HookResult<Option<AuthVerdict>> {
        let address = address::counted(request.peer.ip());
        let limit = i64::from(self.directory.config().devices.passing_per_address);
        let mut store = self.read().await?;
        let passing = store.count_passing(&address.to_string()).await;
        if passing.map_err(HookError::new)? >= limit {
            let message = "too many new devices from this address";
            return Ok(Some(deny(Reason::QuotaExceeded, message)));
        }
        if self.contacts.take(&address, self.directory.now()).is_none() {
            let message = "too many new devices from this address, try again later";
            return Ok(Some(deny(Reason::ConnectionRateExceeded, message)));
        }
        Ok(None)
    }

    async fn has_login(&self, device: &Device) -> HookResult<bool> {
        let mut store = self.read().await?;
        let has_login = store.has_login(&device.registration).await;
        has_login.map_err(HookError::new)
    }

    async fn read(&self) -> HookResult<store::Reader> {
        store::read(self.directory.database())
            .await
            .map_err(HookError::new)
    }

    async fn find(&self, app: &App, request: &ConnectRequest) -> HookResult<Option<Device>> {
        let mut store = self.read().await?;
        let device = store
            .device(&app.key, &PlaceOwner(None), &request.client_id)
            .await;
        device.map_err(HookError::new)
    }

    fn contact(
        &self,
        app: &App,
        request: &ConnectRequest,
        brought: Option<SecretHash>,
        issue: Option<&Secret>,
        may_register: bool,
    ) -> HookResult<Contact> {
        Ok(Contact {
            app: app.key.clone(),
            client_id: request.client_id.clone(),
            assigned: request.client_id_assigned,
            brought,
            issue: issue.map(|secret| SecretHash::of(secret.expose())),
            registration: secret::new_registration_id().map_err(HookError::new)?,
            may_register,
            address: address::counted(request.peer.ip()).to_string(),
            now: self.directory.now(),
        })
    }
}

/// Whether the app's policy lets a new device register that brought this token, if any.
fn may_register(app: &App, token: Option<&[u8]>) -> bool {
    match app.registration {
        Registration::Open => true,
        Registration::Closed => false,
        Registration::Token => token.is_some_and(|token| {
            app.registration_token
                .as_ref()
                .is_some_and(|hash| hash.matches(token))
        }),
    }
}

fn not_allowed() -> AuthVerdict {
    let message = "devices can't register in this app like this";
    deny(Reason::NotAuthorized, message)
}
