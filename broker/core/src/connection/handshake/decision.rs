//! Whether a CONNECT is let in, as whom and on which terms.

use std::net::SocketAddr;
use std::sync::Arc;

use partyline_plugin::protocol::{ClientId, TopicName, Username};
use partyline_plugin::{
    Admission, AuthVerdict, ConnectRefusal, ConnectRequest, DeviceKey, Message, Origin, Outgoing,
    Owner, Principal, ProtocolVersion, Reason, Role, SessionInfo,
};
use rand::distr::{Alphanumeric, SampleString};

use crate::kernel::Kernel;
use crate::packet::{Connect, Will};
use crate::router::AppSpace;
use crate::session::WillMessage;

/// The least Maximum Packet Size that leaves room for a CONNACK with all that it must say.
const SMALLEST_MAX_PACKET: u32 = 64;

/// A CONNECT that is let in.
pub(super) struct Admitted {
    pub(super) info: SessionInfo,
    pub(super) space: Arc<AppSpace>,
    pub(super) will: Option<WillMessage>,
    pub(super) terms: Terms,
    pub(super) greeting: Greeting,
}

/// What the client is told first.
pub(super) struct Greeting {
    pub(super) connack_properties: Vec<(String, String)>,
    /// Where it asked for it.
    pub(super) response_information: Option<String>,
    pub(super) welcome: Vec<Outgoing>,
    /// Its client id is of the broker's own making.
    pub(super) assigned: bool,
}

/// What is in force of what the client asked for, seconds.
pub(super) struct Terms {
    pub(super) expiry: u32,
    /// As it is told.
    pub(super) keep_alive: u16,
    /// Silence that ends the connection.
    pub(super) silence: u32,
}

impl Terms {
    fn new(kernel: &Kernel, connect: &Connect) -> Self {
        let mqtt = &kernel.config.mqtt;
        let asked = connect.keep_alive;
        // The client's own, ours where we name one, within the limit.
        let keep_alive = match (mqtt.server_keep_alive, asked) {
            (0, 0) => mqtt.max_keep_alive,
            (0, asked) => asked.min(mqtt.max_keep_alive),
            (ours, _) => ours,
        };
        // 3.1.1 clients cannot be told of a shorter one, so theirs is what they asked for.
        let kept = match (connect.version, asked) {
            (ProtocolVersion::V5, _) => keep_alive,
            (_, 0) => mqtt.max_keep_alive,
            (_, asked) => asked,
        };
        Self {
            expiry: connect.session_expiry.min(mqtt.max_session_expiry),
            keep_alive,
            // [MQTT-3.1.2-22] of MQTT 5: one and a half times the keep-alive.
            silence: u32::from(kept) + u32::from(kept).div_ceil(2),
        }
    }
}

pub(super) async fn decide(
    kernel: &Kernel,
    connect: &mut Connect,
    peer: SocketAddr,
) -> Result<Admitted, ConnectRefusal> {
    if kernel.stopping.is_cancelled() {
        return Err(ConnectRefusal::new(Reason::ServerShuttingDown));
    }
    if connect.has_auth_method {
        let message = "no authentication method is offered";
        return Err(ConnectRefusal::because(
            Reason::BadAuthenticationMethod,
            message,
        ));
    }
    if connect
        .max_packet_size
        .is_some_and(|max| max < SMALLEST_MAX_PACKET)
    {
        let message = format!("a Maximum Packet Size below {SMALLEST_MAX_PACKET} bytes");
        return Err(ConnectRefusal::because(Reason::PacketTooLarge, message));
    }
    let assigned = connect.client_id.is_empty();
    if assigned {
        if connect.version == ProtocolVersion::V31 {
            let message = "MQTT 3.1 needs a client id";
            return Err(ConnectRefusal::because(
                Reason::ClientIdentifierNotValid,
                message,
            ));
        }
        let id = Alphanumeric.sample_string(&mut rand::rng(), 22);
        connect.client_id = format!("auto-{id}").into();
    }
    let client_id = ClientId::parse(&*connect.client_id).map_err(|error| {
        ConnectRefusal::because(Reason::ClientIdentifierNotValid, error.to_string())
    })?;
    let will = connect
        .will
        .take()
        .map(|will| will_message(kernel, will))
        .transpose()?;
    let hooks = kernel.hooks.load_full();
    let dropped = kernel.apps_dropped();
    let mut request = ConnectRequest::new(client_id, connect.version, peer);
    request.client_id_assigned = assigned;
    request.username = connect.username.take();
    request.password = connect.password.take();
    request.user_properties = std::mem::take(&mut connect.user_properties);
    let admission = match hooks.authenticate(&request).await {
        AuthVerdict::Allow(admission) => *admission,
        AuthVerdict::Deny(refusal) => return Err(refusal),
        // Nobody's to judge: a plugin that counts or bans addresses has seen it.
        AuthVerdict::Next => {
            anonymous(kernel, &request).ok_or_else(|| ConnectRefusal::new(Reason::NotAuthorized))?
        }
    };
    let Admission {
        device,
        principal,
        connack_properties,
        welcome,
    } = admission;
    let space = kernel.space(&device.app);
    if kernel.apps_dropped() != dropped {
        // It may have been this app, after it was found to exist.
        return Err(ConnectRefusal::new(Reason::ServerBusy));
    }
    let info = SessionInfo::new(
        kernel.next_session_id(),
        device,
        principal,
        connect.version,
        peer,
        connect.max_packet_size,
    );
    let will = match will {
        Some(will) => hooks.filter_will(&info, will).await?,
        None => None,
    };
    // [MQTT-3.1.2-28]
    let response_information = connect
        .request_response_information
        .then(|| response_information(kernel, &info))
        .flatten();
    Ok(Admitted {
        info,
        space,
        will,
        terms: Terms::new(kernel, connect),
        greeting: Greeting {
            connack_properties,
            response_information,
            welcome,
            assigned,
        },
    })
}

/// A connection without credentials, where the configuration binds those to an app.
fn anonymous(kernel: &Kernel, request: &ConnectRequest) -> Option<Admission> {
    if request.username.is_some() || request.password.is_some() {
        return None;
    }
    let app = kernel.config.mqtt.anonymous_app.clone()?;
    let client_id = request.client_id.clone();
    Some(Admission {
        device: DeviceKey {
            app,
            owner: Owner::Anonymous,
            client_id,
        },
        principal: Principal {
            role: Role::Anonymous,
            registration: None,
            user: None,
        },
        connack_properties: Vec::new(),
        welcome: Vec::new(),
    })
}

/// What the client's response topics are to begin with. As in the rules, a name that would add a
/// level or a wildcard stands for nothing.
fn response_information(kernel: &Kernel, info: &SessionInfo) -> Option<String> {
    let mut topic = kernel.config.mqtt.response_information.clone()?;
    let device = &info.device;
    for (placeholder, name) in [
        ("%a", Some(device.app.as_str())),
        ("%u", info.principal.username().map(Username::as_str)),
        ("%c", Some(device.client_id.as_str())),
    ] {
        if topic.contains(placeholder) {
            let name = name.filter(|name| !name.contains(['/', '+', '#', '%']))?;
            topic = topic.replace(placeholder, name);
        }
    }
    Some(topic)
}

fn will_message(kernel: &Kernel, will: Will) -> Result<WillMessage, ConnectRefusal> {
    let invalid = |detail: String| ConnectRefusal::because(Reason::TopicNameInvalid, detail);
    if will.topic.starts_with('$') {
        return Err(invalid("a will cannot go to a $ topic".to_owned()));
    }
    let topic = TopicName::parse(&will.topic, &kernel.config.limits.topic())
        .map_err(|error| invalid(error.to_string()))?;
    // Kept for as long as the session: it must not pin the read buffer.
    let payload = bytes::Bytes::copy_from_slice(&will.payload);
    let mut message = Message::new(topic, payload, Origin::Will);
    message.qos = will.qos;
    message.retain = will.retain;
    message.properties = will.properties;
    Ok(WillMessage {
        message,
        delay_secs: will.delay_secs,
    })
}
