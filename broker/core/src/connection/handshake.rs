//! From the first byte of a socket to an admitted connection.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use partyline_plugin::protocol::{ClientId, TopicName};
use partyline_plugin::{
    AccessVerdict, Admission, AuthVerdict, ConnectRefusal, ConnectRequest, DeviceKey, Message,
    Origin, Outgoing, Owner, Principal, ProtocolVersion, Reason, Role, SessionInfo,
};
use rand::distr::{Alphanumeric, SampleString};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::pending::Pending;
use super::wire::{Wire, part, poll_read};
use super::{Connection, FLUSH_TIME, QUEUE_WATER};
use crate::codec::{Codec, encode_publish};
use crate::kernel::Kernel;
use crate::packet::{ConnAck, Connect, Will};
use crate::router::AppSpace;
use crate::session::{Attached, Attachment, Detach, Fill, Pace, WillMessage};
use crate::sweeper::coarse_secs;
use crate::transport::Transport;

/// The least Maximum Packet Size that leaves room for a CONNACK with all that it must say.
const SMALLEST_MAX_PACKET: u32 = 64;

/// Reads the CONNECT and answers it. `None` if the connection is not to go on.
pub(super) async fn accept(
    kernel: &Arc<Kernel>,
    transport: &mut Transport,
    peer: SocketAddr,
    deadline: Instant,
) -> Option<Connection> {
    let deciding = timeout_at(deadline, async {
        let mut input = BytesMut::new();
        let (codec, mut connect) = read_connect(kernel, transport, &mut input).await?;
        let decided = decide(kernel, &mut connect, peer).await;
        Some((input, codec, connect, decided))
    });
    // Who has no session yet is not worth waiting for when the broker stops.
    let Ok(decided) = kernel.stopping.run_until_cancelled(deciding).await? else {
        tracing::debug!(%peer, "no CONNECT in time");
        return None;
    };
    let (input, codec, connect, decided) = decided?;
    let version = connect.version;
    let accepted = match decided {
        // No time limit from here on: a session must not be left with half a connection.
        Ok(admitted) => admit(kernel, codec, &connect, admitted, input).await,
        Err(refusal) => Err(refusal),
    };
    match accepted {
        Ok(connection) => Some(connection),
        Err(refusal) => {
            tracing::info!(%peer, reason = %refusal.reason, "connection refused");
            let codec = Codec::new(version, kernel.config.limits.packet_bytes as usize);
            let with_message = connect.request_problem_information;
            refuse(&kernel.stopping, transport, codec, &refusal, with_message).await;
            None
        }
    }
}

async fn read_connect(
    kernel: &Kernel,
    transport: &mut Transport,
    input: &mut BytesMut,
) -> Option<(Codec, Connect)> {
    let max = kernel.config.limits.packet_bytes as usize;
    loop {
        match Codec::accept(input, max) {
            Ok(Some(accepted)) => return Some(accepted),
            Ok(None) => {}
            Err((version, error)) => {
                tracing::info!(%error, "no valid CONNECT");
                if let Some(version) = version {
                    let refusal = ConnectRefusal::because(error.reason, error.detail);
                    refuse(&kernel.stopping, transport, Codec::new(version, max), &refusal, true).await;
                }
                return None;
            }
        }
        match poll_fn(|cx| poll_read(cx, Pin::new(&mut *transport), input)).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn refuse(
    stopping: &CancellationToken,
    transport: &mut Transport,
    mut codec: Codec,
    refusal: &ConnectRefusal,
    with_message: bool,
) {
    let mut output = BytesMut::new();
    let message = refusal.message.as_deref().filter(|_| with_message);
    codec.refuse(refusal.reason, message, &mut output);
    let answer = part(transport, &mut output, stopping);
    // A peer that does not take its refusal is closed without it.
    let _ = tokio::time::timeout(FLUSH_TIME, answer).await;
}

async fn admit(
    kernel: &Arc<Kernel>,
    codec: Codec,
    connect: &Connect,
    admitted: Admitted,
    input: BytesMut,
) -> Result<Connection, ConnectRefusal> {
    let Admitted {
        info,
        space,
        will,
        terms,
        connack_properties,
        welcome,
        assigned,
    } = admitted;
    let client_id = assigned.then(|| info.device.client_id.to_string());
    let joined = attach(kernel, codec, connect, info, &space, will, &terms, input);
    let (mut connection, present) = joined.await?;
    connection.codec.connack(
        ConnAck {
            session_present: present,
            session_expiry: (terms.expiry != connect.session_expiry).then_some(terms.expiry),
            receive_maximum: kernel.config.limits.in_flight,
            max_packet_size: kernel.config.limits.packet_bytes,
            assigned_client_id: client_id,
            server_keep_alive: (terms.keep_alive != connect.keep_alive).then_some(terms.keep_alive),
            user_properties: connack_properties,
        },
        &mut connection.wire.output,
    );
    let v5 = connection.is_v5();
    for message in welcome {
        let mut payload = BytesMut::from(message.payload.head);
        payload.extend_from_slice(&message.payload.body);
        let topic = message.topic.as_str();
        let frame = encode_publish(v5, topic, payload.freeze(), false, None, None);
        if let Some(frame) = frame.filter(|frame| connection.codec.fits(frame.len())) {
            let qos = partyline_plugin::Qos::AtMostOnce;
            frame.write(qos, 0, false, false, &mut connection.wire.output);
        }
    }
    Ok(connection)
}

/// A CONNECT that is let in.
struct Admitted {
    info: SessionInfo,
    space: Arc<AppSpace>,
    will: Option<WillMessage>,
    terms: Terms,
    connack_properties: Vec<(String, String)>,
    welcome: Vec<Outgoing>,
    /// Its client id is of the broker's own making.
    assigned: bool,
}

/// What is in force of what the client asked for, seconds.
struct Terms {
    expiry: u32,
    /// As it is told.
    keep_alive: u16,
    /// Silence that ends the connection.
    silence: u32,
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

async fn decide(
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
    let verdict = match anonymous(kernel, &request) {
        Some(admission) => AuthVerdict::Allow(Box::new(admission)),
        None => hooks.authenticate(&request).await,
    };
    let admission = match verdict {
        AuthVerdict::Allow(admission) => *admission,
        AuthVerdict::Deny(refusal) => return Err(refusal),
        AuthVerdict::Next => return Err(ConnectRefusal::new(Reason::NotAuthorized)),
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
    if let Some(will) = &will {
        match hooks.authorize_publish(&info, &will.message).await {
            AccessVerdict::Allow => {}
            AccessVerdict::Next => {
                let message = "the will's topic is not allowed";
                return Err(ConnectRefusal::because(Reason::NotAuthorized, message));
            }
            AccessVerdict::Deny(reason) => return Err(ConnectRefusal::new(reason)),
        }
    }
    Ok(Admitted {
        info,
        space,
        will,
        terms: Terms::new(kernel, connect),
        connack_properties,
        welcome,
        assigned,
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

#[expect(clippy::too_many_arguments, reason = "all that a connection begins with")]
async fn attach(
    kernel: &Arc<Kernel>,
    codec: Codec,
    connect: &Connect,
    info: SessionInfo,
    space: &Arc<AppSpace>,
    will: Option<WillMessage>,
    terms: &Terms,
    input: BytesMut,
) -> Result<(Connection, bool), ConnectRefusal> {
    let limits = &kernel.config.limits;
    let attachment = Arc::new(Attachment::new(info, terms.silence, coarse_secs()));
    let attached =
        kernel
            .registry
            .attach(&attachment, space, connect.clean_start, terms.expiry, will);
    let Attached {
        session,
        present,
        previous_expiry,
        will: old_will,
    } = attached;
    if kernel.stopping.is_cancelled() {
        // The stop may have looked at all connections before this one was there.
        kernel.shut_down(&attachment);
    }
    if space.is_closed() {
        // So may the end of its app.
        kernel.end_of_app(&session);
    }
    if let Some(will) = old_will {
        kernel.publish_will(&session, will).await;
    }
    if present {
        let asked = kernel.authorize_again(&session, &attachment.info()).await;
        if asked.is_err() {
            let how = Detach {
                publish_will: false,
                expiry_secs: Some(previous_expiry),
            };
            let max_expiry = kernel.config.mqtt.max_session_expiry;
            // There is no will, and the session is as it was.
            let _ = kernel
                .registry
                .detach(&session, attachment.id, &how, max_expiry);
            let message = "the subscriptions cannot be checked now";
            return Err(ConnectRefusal::because(Reason::ServerUnavailable, message));
        }
    }
    let (per_second, burst) = (limits.commands_per_second, limits.command_burst);
    let pace = Pace::new(Arc::clone(&session.commands), per_second, burst);
    let connection = Connection {
        kernel: Arc::clone(kernel),
        session,
        codec,
        fill: Fill {
            version: connect.version,
            window: connect.receive_maximum.min(limits.in_flight),
            max_packet: connect.max_packet_size,
            high_water: QUEUE_WATER,
        },
        attachment,
        wire: Wire::new(input),
        pending: Pending::new(limits.in_flight, limits.command_timeout),
        pace,
    };
    Ok((connection, present))
}
