//! What rows hold, typed.

use std::fmt;

use partyline_plugin::{DeviceKey, Owner};
use partyline_protocol::{
    AppKey, Class, ClientId, IdError, KickReason, Platform, RegistrationId, Username,
};
use sqlx::FromRow;

use crate::Registration;
use crate::ban::Ban;
use crate::secret::SecretHash;

/// An app.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct App {
    #[sqlx(rename = "app_key", try_from = "String")]
    pub(crate) key: AppKey,
    pub(crate) name: String,
    #[sqlx(rename = "master_hash")]
    pub(crate) master: SecretHash,
    #[sqlx(try_from = "String")]
    pub(crate) registration: Registration,
    #[sqlx(rename = "registration_hash")]
    pub(crate) registration_token: Option<SecretHash>,
    pub(crate) created_at: i64,
}

/// A user, as a login needs it. Its `Debug` leaves the password's hash out.
#[derive(Clone, FromRow)]
pub(crate) struct User {
    pub(crate) password_phc: String,
    pub(crate) generation: i64,
    pub(crate) disabled: bool,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("generation", &self.generation)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// Whose client-id space a device is in; as text, empty for those that prove their own secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaceOwner(pub(crate) Option<Username>);

impl PlaceOwner {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Username::as_str)
    }
}

impl TryFrom<String> for PlaceOwner {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if text.is_empty() {
            Ok(Self(None))
        } else {
            Username::parse(text).map(|u| Self(Some(u)))
        }
    }
}

/// A device.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Device {
    #[sqlx(rename = "registration_id", try_from = "String")]
    pub(crate) registration: RegistrationId,
    #[sqlx(rename = "app_key", try_from = "String")]
    pub(crate) app: AppKey,
    #[sqlx(try_from = "String")]
    pub(crate) owner: PlaceOwner,
    #[sqlx(try_from = "String")]
    pub(crate) client_id: ClientId,
    #[sqlx(rename = "secret_hash")]
    pub(crate) secret: Option<SecretHash>,
    /// The broker issued the secret and it has not been used yet.
    pub(crate) replaceable: bool,
    /// The broker made up the client id.
    pub(crate) assigned: bool,
    /// It has come back, so it stays.
    pub(crate) lasting: bool,
    /// What it said it runs on, by the platform's name.
    pub(crate) platform: String,
    pub(crate) address: String,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
}

impl Device {
    /// The key of its session.
    pub(crate) fn key(&self) -> DeviceKey {
        device_key(&self.app, &self.owner, &self.client_id)
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform::parse(&self.platform)
    }

    /// The class of logins on it.
    pub(crate) fn class(&self) -> Class {
        class(self.platform(), self.assigned)
    }
}

/// A client id that the broker made up has no class of its own: nobody comes back to it, so a kick
/// and its ban would find a new client id each time, and two such clients kick each other for ever.
fn class(platform: Platform, assigned: bool) -> Class {
    if assigned {
        Class::Other
    } else {
        platform.class()
    }
}

/// The key of the session of a device in this place.
pub(super) fn device_key(app: &AppKey, owner: &PlaceOwner, client_id: &ClientId) -> DeviceKey {
    let owner = owner.0.clone().map_or(Owner::Device, Owner::User);
    DeviceKey {
        app: app.clone(),
        owner,
        client_id: client_id.clone(),
    }
}

/// A device of a user: in the user's client-id space, or with the user logged in.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct UserDevice {
    #[sqlx(flatten)]
    pub(crate) device: Device,
    pub(crate) logged_in: bool,
}

/// A user logged in on a device, whether or not it is connected.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct ActiveLogin {
    #[sqlx(rename = "registration_id", try_from = "String")]
    pub(crate) registration: RegistrationId,
    #[sqlx(try_from = "String")]
    pub(crate) client_id: ClientId,
    platform: String,
    assigned: bool,
}

impl ActiveLogin {
    pub(crate) fn class(&self) -> Class {
        class(Platform::parse(&self.platform), self.assigned)
    }
}

/// All that a reconnect by token needs, read at once.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Token {
    #[sqlx(flatten)]
    pub(crate) device: Device,
    #[sqlx(try_from = "String")]
    pub(crate) username: Username,
    pub(crate) revoked: bool,
    pub(crate) disabled: bool,
    pub(crate) generation: i64,
    until_at: Option<i64>,
    last_ms: Option<i64>,
}

impl Token {
    pub(crate) fn ban(&self) -> Option<Ban> {
        Some(Ban {
            until: self.until_at?,
            last_ms: self.last_ms?,
        })
    }
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    AppCreated,
    AppDeleted,
    MasterSecret,
    Registration,
    UserCreated,
    UserEnabled,
    /// Written by a newer version.
    Unknown,
    /// The user, or one of their logins, ended for this reason.
    Ended(KickReason),
}

impl ChangeKind {
    const ALL: [Self; 11] = [
        Self::AppCreated,
        Self::AppDeleted,
        Self::MasterSecret,
        Self::Registration,
        Self::UserCreated,
        Self::UserEnabled,
        Self::Ended(KickReason::NewLogin),
        Self::Ended(KickReason::Device),
        Self::Ended(KickReason::Disabled),
        Self::Ended(KickReason::Deleted),
        Self::Ended(KickReason::PasswordChanged),
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AppCreated => "app_created",
            Self::AppDeleted => "app_deleted",
            Self::MasterSecret => "master_secret",
            Self::Registration => "registration",
            Self::UserCreated => "user_created",
            Self::UserEnabled => "user_enabled",
            Self::Unknown => "unknown",
            Self::Ended(reason) => reason.as_str(),
        }
    }
}

impl From<String> for ChangeKind {
    fn from(text: String) -> Self {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .unwrap_or(Self::Unknown)
    }
}

/// An entry of the change log.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Change {
    pub(crate) id: i64,
    #[sqlx(try_from = "String")]
    pub(crate) kind: ChangeKind,
    #[sqlx(rename = "app_key", try_from = "String")]
    pub(crate) app: AppKey,
    /// The user; nobody when the app as a whole changed.
    #[sqlx(rename = "username", try_from = "String")]
    pub(crate) user: PlaceOwner,
}

/// Something that the streams are to forget: a device, a user, or a whole app.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct Forget {
    #[sqlx(rename = "app_key", try_from = "String")]
    pub(crate) app: AppKey,
    #[sqlx(rename = "username", try_from = "String")]
    pub(crate) user: PlaceOwner,
    #[sqlx(rename = "registration_id")]
    pub(crate) registration: String,
}
