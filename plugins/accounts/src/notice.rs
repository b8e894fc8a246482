//! The `$session` notice: what a client must know.

use partyline_plugin::services::{Services, StreamPlace, Streams};
use partyline_plugin::{Clock, Outgoing, Qos};
use partyline_protocol::{
    AppKey, KickReason, RegistrationId, SessionNotice, TopicError, TopicLimits, TopicName,
    Username, names,
};

use crate::issued::Issued;

/// Writes notices. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Notices {
    topic: TopicName,
    services: Services,
    clock: Clock,
}

impl Notices {
    pub(crate) fn new(services: Services, clock: Clock) -> Result<Self, TopicError> {
        let topic = TopicName::parse(names::SESSION, &TopicLimits::MQTT)?;
        Ok(Self {
            topic,
            services,
            clock,
        })
    }

    /// What a device, or the user on it, must know now.
    pub(crate) async fn notice(
        &self,
        app: &AppKey,
        registration: &RegistrationId,
        user: Option<&Username>,
        issued: Issued,
    ) -> SessionNotice {
        let place = match user {
            Some(user) => self.place(app, user).await,
            None => None,
        };
        let (epoch, head) = place.map(|place| (place.epoch, place.head)).unzip();
        SessionNotice {
            registration_id: registration.clone(),
            device_secret: issued.device_secret,
            username: user.cloned(),
            token: issued.token,
            epoch,
            head,
            server_time: self.server_time(),
            kicked: None,
        }
    }

    /// Where the user's stream stands; `None` if nobody keeps streams or they can't be read now,
    /// which must not keep anybody from connecting.
    pub(crate) async fn place(&self, app: &AppKey, user: &Username) -> Option<StreamPlace> {
        let streams = self.services.get::<dyn Streams>().ok()?;
        streams
            .place(app, user)
            .await
            .inspect_err(|error| tracing::warn!(?error, "the place of a stream could not be read"))
            .ok()
    }

    /// The last that a client hears when its user is kicked.
    pub(crate) fn farewell(
        &self,
        registration: &RegistrationId,
        user: &Username,
        reason: KickReason,
    ) -> Outgoing {
        self.outgoing(&SessionNotice {
            registration_id: registration.clone(),
            device_secret: None,
            username: Some(user.clone()),
            token: None,
            epoch: None,
            head: None,
            server_time: self.server_time(),
            kicked: Some(reason.into()),
        })
    }

    pub(crate) fn outgoing(&self, notice: &SessionNotice) -> Outgoing {
        // Texts and numbers always are JSON.
        let payload = serde_json::to_vec(notice).unwrap_or_default();
        Outgoing {
            topic: self.topic.clone(),
            payload: payload.into(),
            qos: Qos::AtMostOnce,
        }
    }

    fn server_time(&self) -> u64 {
        u64::try_from(self.clock.now_ms()).unwrap_or_default()
    }
}

/// The notice as user properties of a CONNACK.
pub(crate) fn connack_properties(notice: &SessionNotice) -> Vec<(String, String)> {
    let secret = |secret: &partyline_protocol::Secret| secret.expose().to_owned();
    [
        ("registration_id", Some(notice.registration_id.to_string())),
        ("device_secret", notice.device_secret.as_ref().map(secret)),
        (
            "username",
            notice.username.as_ref().map(ToString::to_string),
        ),
        ("token", notice.token.as_ref().map(secret)),
        ("epoch", notice.epoch.as_ref().map(ToString::to_string)),
        ("head", notice.head.as_ref().map(ToString::to_string)),
        ("server_time", Some(notice.server_time.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
