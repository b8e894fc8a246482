//! From the first byte of a socket to an admitted connection.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use partyline_plugin::protocol::{ClientId, TopicName};
use partyline_plugin::{
    AccessVerdict, Admission, AuthVerdict, ConnectRefusal, ConnectRequest, DeviceKey, Message,
    Origin, Owner, Principal, ProtocolVersion, Reason, Role, SessionInfo,
};
use rand::distr::{Alphanumeric, SampleString};
use tokio::io::AsyncWriteExt;

use super::pace::Pace;
use super::pending::Pending;
use super::wire::{Wire, poll_read};
use super::{Connection, FLUSH_TIME, HIGH_WATER};
use crate::codec::{Codec, encode_publish};
use crate::kernel::Kernel;
use crate::packet::{ConnAck, Connect, Will};
use crate::session::{Attached, Attachment, Fill, WillMessage};
use crate::sweeper::coarse_secs;
use crate::transport::Transport;

/// The least Maximum Packet Size that leaves room for a CONNACK with all that it must say.
const SMALLEST_MAX_PACKET: u32 = 64;

/// Reads the CONNECT and answers it. `None` if the connection is not to go on.
pub(super) async fn accept(
    kernel: &Arc<Kernel>,
    transport: &mut Transport,
    peer: SocketAddr,
) -> Option<Connection> {
    let limit = Duration::from_secs(kernel.config.mqtt.connect_timeout.into());
    let deciding = tokio::time::timeout(limit, async {
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
    match decided {
        // No time limit from here on: a session must not be left with half a connection.
        Ok(admitted) => Some(admit(kernel, peer, codec, &connect, admitted, input).await),
        Err(refusal) => {
            tracing::info!(%peer, reason = %refusal.reason, "connection refused");
            let with_message = connect.request_problem_information;
            refuse(transport, codec, &refusal, with_message).await;
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
                    refuse(transport, Codec::new(version, max), &refusal, true).await;
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
    transport: &mut Transport,
    mut codec: Codec,
    refusal: &ConnectRefusal,
    with_message: bool,
) {
    let mut output = BytesMut::new();
    let message = refusal.message.as_deref().filter(|_| with_message);
    codec.refuse(refusal.reason, message, &mut output);
    let answer = async {
        if transport.write_all_buf(&mut output).await.is_ok() {
            // The peer may have closed its side already.
            let _ = transport.shutdown().await;
        }
    };
    // A peer that does not take its refusal is closed without it.
    let _ = tokio::time::timeout(FLUSH_TIME, answer).await;
}

async fn admit(
    kernel: &Arc<Kernel>,
    peer: SocketAddr,
    codec: Codec,
    connect: &Connect,
    (admission, will, assigned): Admitted,
    input: BytesMut,
) -> Connection {
    let connection = attach(kernel, peer, codec, connect, &admission, will, input).await;
    let (mut connection, present) = connection;
    let max_expiry = kernel.config.mqtt.max_session_expiry;
    let expiry = connect.session_expiry.min(max_expiry);
    let keep_alive = keep_alive(kernel, connect.keep_alive);
    connection.codec.connack(
        ConnAck {
            session_present: present,
            session_expiry: (expiry != connect.session_expiry).then_some(expiry),
            receive_maximum: kernel.config.limits.in_flight,
            max_packet_size: kernel.config.limits.packet_bytes,
            assigned_client_id: assigned.then(|| admission.device.client_id.to_string()),
            server_keep_alive: (keep_alive != connect.keep_alive).then_some(keep_alive),
            user_properties: admission.connack_properties,
        },
        &mut connection.wire.output,
    );
    let v5 = connection.is_v5();
    for message in admission.welcome {
        let mut payload = BytesMut::from(message.payload.head);
        payload.extend_from_slice(&message.payload.body);
        let topic = message.topic.as_str();
        let frame = encode_publish(v5, topic, payload.freeze(), false, None, None);
        if let Some(frame) = frame.filter(|frame| connection.codec.fits(frame.len())) {
            let qos = partyline_plugin::Qos::AtMostOnce;
            frame.write(qos, 0, false, false, &mut connection.wire.output);
        }
    }
    connection
}

/// Who it is, what its will is, and whether its client id was assigned.
type Admitted = (Admission, Option<WillMessage>, bool);

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
    if let Some(will) = &will {
        let Admission {
            device, principal, ..
        } = &admission;
        let id = kernel.next_session_id();
        let info = SessionInfo::new(
            id,
            device.clone(),
            principal.clone(),
            connect.version,
            peer,
            connect.max_packet_size,
        );
        match hooks.authorize_publish(&info, &will.message).await {
            AccessVerdict::Allow => {}
            AccessVerdict::Next => {
                let message = "the will's topic is not allowed";
                return Err(ConnectRefusal::because(Reason::NotAuthorized, message));
            }
            AccessVerdict::Deny(reason) => return Err(ConnectRefusal::new(reason)),
        }
    }
    Ok((admission, will, assigned))
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

/// The keep-alive in force, seconds: the client's own, ours where we name one, within the limit.
fn keep_alive(kernel: &Kernel, asked: u16) -> u16 {
    let mqtt = &kernel.config.mqtt;
    match (mqtt.server_keep_alive, asked) {
        (0, 0) => mqtt.max_keep_alive,
        (0, asked) => asked.min(mqtt.max_keep_alive),
        (ours, _) => ours,
    }
}

async fn attach(
    kernel: &Arc<Kernel>,
    peer: SocketAddr,
    codec: Codec,
    connect: &Connect,
    admission: &Admission,
    will: Option<WillMessage>,
    input: BytesMut,
) -> (Connection, bool) {
    let Admission {
        device, principal, ..
    } = admission;
    let info = SessionInfo::new(
        kernel.next_session_id(),
        device.clone(),
        principal.clone(),
        connect.version,
        peer,
        connect.max_packet_size,
    );
    let limits = &kernel.config.limits;
    let window = connect.receive_maximum.min(limits.in_flight);
    // [MQTT-3.1.2-22] of MQTT 5: one and a half times the keep-alive. 3.1.1 clients cannot be told
    // of a shorter one, so theirs is what they asked for.
    let asked = match (connect.version, connect.keep_alive) {
        (ProtocolVersion::V5, asked) => keep_alive(kernel, asked),
        (_, 0) => kernel.config.mqtt.max_keep_alive,
        (_, asked) => asked,
    };
    let silence = u32::from(asked) + u32::from(asked).div_ceil(2);
    let attachment = Arc::new(Attachment::new(info, silence, coarse_secs()));
    let space = kernel.space(&device.app);
    let expiry = connect
        .session_expiry
        .min(kernel.config.mqtt.max_session_expiry);
    let attached = kernel
        .registry
        .attach(&attachment, &space, connect.clean_start, expiry, will);
    let Attached {
        session,
        present,
        will: old_will,
    } = attached;
    if kernel.stopping.is_cancelled() {
        // The stop may have looked at all connections before this one was there.
        kernel.shut_down(&attachment);
    }
    if let Some(will) = old_will {
        kernel.publish_will(&session, will).await;
    }
    let connection = Connection {
        kernel: Arc::clone(kernel),
        session,
        codec,
        fill: Fill {
            version: connect.version,
            window,
            window_bytes: limits.queued_bytes,
            max_packet: connect.max_packet_size,
            high_water: HIGH_WATER,
        },
        attachment,
        wire: Wire::new(input),
        pending: Pending::new(limits.in_flight, limits.command_timeout),
        pace: Pace::new(limits.commands_per_second, limits.command_burst),
    };
    if present {
        kernel
            .authorize_again(&connection.session, &connection.info())
            .await;
    }
    (connection, present)
}
