//! `{appkey}`: a device.

use partyline_plugin::{AuthVerdict, ConnectRequest, HookError, HookResult};
use partyline_protocol::{Reason, Secret};

use super::{deny, password, wrong};
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
        let known = self.find(app, request).await.map_err(HookError::new)?;
        if let Some(device) = known
            && contact::judge(&device, brought.as_ref()) == Judgement::Proven
            && contact::is_settled(&device)
        {
            self.seen.note(&device.registration, self.directory.now());
            return Ok(self.admit(device, None, Issued::default()).await);
        }
        let may_register = match app.registration {
            Registration::Open => true,
            Registration::Closed => false,
            Registration::Token => token.is_some_and(|token| {
                app.registration_token
                    .as_ref()
                    .is_some_and(|hash| hash.matches(token))
            }),
        };
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
            Contacted::Refused => wrong(),
            Contacted::NotAllowed => deny(
                Reason::NotAuthorized,
                "devices can't register in this app like this",
            ),
            Contacted::TooMany => deny(
                Reason::QuotaExceeded,
                "too many new devices from this address",
            ),
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
        let known = self.find(app, request).await.map_err(HookError::new)?;
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

    async fn find(
        &self,
        app: &App,
        request: &ConnectRequest,
    ) -> Result<Option<Device>, sqlx::Error> {
        let mut store = store::read(self.directory.database()).await?;
        store
            .device(&app.key, &PlaceOwner(None), &request.client_id)
            .await
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
            passing_limit: i64::from(self.directory.config().devices.passing_per_address),
            now: self.directory.now(),
        })
    }
}
