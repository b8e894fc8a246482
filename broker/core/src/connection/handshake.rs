//! From the first byte of a socket to an admitted connection.

mod decision;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use partyline_plugin::protocol::ClientId;
use partyline_plugin::{
    CloseReason, ConnectRefusal, Event, EventKind, ProtocolVersion, Qos, Reason, SessionId,
};
use tokio::time::{Instant, timeout_at};

use self::decision::{Admitted, Greeting, Terms, decide};
use super::aliases::TopicAliases;
use super::pending::Pending;
use super::wire::{Wire, part, poll_read};
use super::{Connection, FLUSH_TIME, QUEUE_WATER};
use crate::codec::{Codec, encode_publish};
use crate::kernel::Kernel;
use crate::metrics::NoConnect;
use crate::packet::{ConnAck, Connect};
use crate::session::{
    Aliases, Attached, Attachment, Detach, Fill, Pace, Previous, Registry, Session,
};
use crate::sweeper::coarse_secs;
use crate::transport::Transport;

/// Reads the CONNECT and answers it. `None` if the connection is not to go on.
pub(super) async fn accept(
    kernel: &Arc<Kernel>,
    transport: &mut Transport,
    peer: SocketAddr,
    deadline: Instant,
) -> Option<Connection> {
    let mut input = BytesMut::new();
    let mut read = 0;
    let deciding = timeout_at(deadline, async {
        let connect = read_connect(kernel, transport, &mut input, &mut read).await;
        let (codec, mut connect) = connect?;
        let decided = decide(kernel, &mut connect, peer).await;
        Some((codec, connect, decided))
    });
    // Who has no session yet is not worth waiting for when the broker stops.
    let Ok(decided) = kernel.stopping.run_until_cancelled(deciding).await? else {
        kernel.metrics.no_connect(NoConnect::Timeout);
        kernel.metrics.strangers.add_bytes(read, 0);
        tracing::debug!(%peer, "no CONNECT in time");
        return None;
    };
    let Some((mut codec, connect, decided)) = decided else {
        kernel.metrics.strangers.add_bytes(read, 0);
        return None;
    };
    let joined = match decided {
        // No time limit from here on: a session must not be left with half a connection.
        Ok(admitted) => join(kernel, &connect, admitted).await,
        Err(refusal) => Err(refusal),
    };
    match joined {
        Ok(joined) => {
            let traffic = &joined.session.space.traffic;
            traffic.connected();
            traffic.add_bytes(read, 0);
            codec.tally.packets_in += 1;
            let limit = Duration::from_secs(kernel.config.mqtt.connect_timeout.into());
            kernel.metrics.connected(deadline - limit);
            Some(admit(kernel, codec, &connect, joined, input))
        }
        Err(refusal) => {
            let client_id = possible_id(&connect.client_id);
            let (reason, message) = (refusal.reason, refusal.message.as_deref());
            // As often as strangers like; observers and the metrics are told.
            tracing::debug!(%peer, client_id, %reason, message, "connection refused");
            kernel.events.emit(EventKind::AuthFailed, || {
                Event::auth_failed(client_id.into(), peer, connect.version, reason)
            });
            let with_message = connect.request_problem_information;
            codec.tally.packets_in += 1;
            kernel.metrics.strangers.add_bytes(read, 0);
            refuse(kernel, transport, codec, &refusal, with_message).await;
            None
        }
    }
}

/// As much of a client id as a valid one could have: one that is refused may be as long as a packet.
fn possible_id(client_id: &str) -> &str {
    let end = client_id.floor_char_boundary(ClientId::MAX);
    client_id.get(..end).unwrap_or_default()
}

async fn read_connect(
    kernel: &Kernel,
    transport: &mut Transport,
    input: &mut BytesMut,
    read: &mut usize,
) -> Option<(Codec, Connect)> {
    let max = kernel.config.limits.packet_bytes as usize;
    loop {
        match Codec::accept(input, max) {
            Ok(Some(accepted)) => return Some(accepted),
            Ok(None) => {}
            Err((version, error)) => {
                tracing::debug!(%error, "no valid CONNECT");
                if let Some(version) = version {
                    let refusal = ConnectRefusal::because(error.reason, error.detail);
                    refuse(kernel, transport, Codec::new(version, max), &refusal, true).await;
                } else {
                    kernel.metrics.no_connect(NoConnect::Garbled);
                }
                return None;
            }
        }
        match poll_fn(|cx| poll_read(cx, Pin::new(&mut *transport), input)).await {
            Ok(0) | Err(_) => {
                kernel.metrics.no_connect(NoConnect::Garbled);
                return None;
            }
            Ok(count) => *read += count,
        }
    }
}

async fn refuse(
    kernel: &Kernel,
    transport: &mut Transport,
    mut codec: Codec,
    refusal: &ConnectRefusal,
    with_message: bool,
) {
    let mut output = BytesMut::new();
    let message = refusal.message.as_deref().filter(|_| with_message);
    codec.refuse(refusal.reason, message, &mut output);
    kernel.metrics.connects_refused.count(refusal.reason);
    kernel.metrics.strangers.add_tally(&mut codec.tally);
    kernel.metrics.strangers.add_bytes(0, output.len());
    let answer = part(transport, &mut output, &kernel.stopping);
    // A peer that does not take its refusal is closed without it.
    let _ = tokio::time::timeout(FLUSH_TIME, answer).await;
}

/// A connection that has its session.
struct Joined {
    session: Arc<Session>,
    attachment: Arc<Attachment>,
    present: bool,
    terms: Terms,
    greeting: Greeting,
}

/// Gives it its session.
async fn join(
    kernel: &Arc<Kernel>,
    connect: &Connect,
    admitted: Admitted,
) -> Result<Joined, ConnectRefusal> {
    let Admitted {
        info,
        space,
        will,
        terms,
        greeting,
    } = admitted;
    let attachment = Arc::new(Attachment::new(info, terms.silence, coarse_secs()));
    let (registry, clean) = (&kernel.registry, connect.clean_start);
    let (session, previous, mut ticket) = {
        // A will that this connection makes due is published and gone in one transaction.
        let _together = kernel.journal.together();
        let attached = registry.attach(&attachment, &space, clean, terms.expiry, will);
        let Attached {
            session,
            previous,
            will,
            gone,
        } = attached;
        if let Some(will) = will {
            kernel.publish_will(&session, will);
        }
        (session, previous, gone)
    };
    let present = previous.is_some();
    if kernel.stopping.is_cancelled() {
        // The stop may have looked at all connections before this one was there.
        kernel.shut_down(&attachment);
    }
    if space.is_closed() {
        // So may the end of its app.
        kernel.end_of_app(&session);
    }
    let mut refusal = None;
    if let Some(previous) = &previous {
        let asked = kernel.authorize_again(&session, &attachment.info()).await;
        if asked.is_err() {
            refusal = Some("the subscriptions cannot be checked now");
        } else {
            ticket = Registry::admitted(&session, attachment.id, previous.waits());
        }
    }
    // The client is not told before that what was is over: it could come back.
    if refusal.is_none() && !kernel.stored(ticket).await {
        refusal = Some("the database does not answer");
    }
    if let Some(message) = refusal {
        leave(kernel, &session, attachment.id, previous);
        return Err(ConnectRefusal::because(Reason::ServerUnavailable, message));
    }
    Ok(Joined {
        session,
        attachment,
        present,
        terms,
        greeting,
    })
}

/// Parts a connection that is refused from its session: one that it took up is as it was before.
fn leave(kernel: &Kernel, session: &Arc<Session>, id: SessionId, previous: Option<Previous>) {
    // A will that becomes due by this is published and gone in one transaction.
    let _together = kernel.journal.together();
    let due = if let Some(previous) = previous {
        kernel.registry.put_back(session, id, previous)
    } else {
        let how = Detach {
            publish_will: false,
            expiry_secs: None,
            reason: CloseReason::Ended(Reason::ServerUnavailable),
        };
        let max_expiry = kernel.config.mqtt.max_session_expiry;
        kernel.registry.detach(session, id, &how, max_expiry)
    };
    if let Some(will) = due {
        kernel.publish_will(session, will);
    }
}

/// Begins the connection with its CONNACK and its welcome.
fn admit(
    kernel: &Arc<Kernel>,
    mut codec: Codec,
    connect: &Connect,
    joined: Joined,
    input: BytesMut,
) -> Connection {
    let Joined {
        session,
        attachment,
        present,
        terms,
        greeting,
    } = joined;
    let limits = &kernel.config.limits;
    let client_id = &session.key.client_id;
    let mut wire = Wire::new(input);
    codec.connack(
        ConnAck {
            session_present: present,
            session_expiry: (terms.expiry != connect.session_expiry).then_some(terms.expiry),
            receive_maximum: limits.in_flight,
            max_packet_size: limits.packet_bytes,
            topic_alias_maximum: limits.topic_aliases,
            assigned_client_id: greeting.assigned.then(|| client_id.to_string()),
            server_keep_alive: (terms.keep_alive != connect.keep_alive).then_some(terms.keep_alive),
            response_information: greeting.response_information,
            user_properties: greeting.connack_properties,
        },
        &mut wire.output,
    );
    let v5 = connect.version == ProtocolVersion::V5;
    for message in greeting.welcome {
        let mut payload = BytesMut::from(message.payload.head);
        payload.extend_from_slice(&message.payload.body);
        let topic = message.topic.as_str();
        let frame = encode_publish(v5, topic, payload.freeze(), false, None, None);
        if let Some(frame) = frame.filter(|frame| codec.fits(frame.len())) {
            frame.write(Qos::AtMostOnce, 0, false, false, &mut wire.output);
            codec.tally.replies_out += 1;
        }
    }
    let (per_second, burst) = (limits.commands_per_second, limits.command_burst);
    Connection {
        kernel: Arc::clone(kernel),
        pace: Pace::new(Arc::clone(&session.commands), per_second, burst),
        session,
        codec,
        fill: Fill {
            version: connect.version,
            window: connect.receive_maximum.min(limits.in_flight),
            window_bytes: limits.queued_bytes,
            max_packet: connect.max_packet_size,
            high_water: QUEUE_WATER,
        },
        attachment,
        wire,
        pending: Pending::new(limits.in_flight, limits.command_timeout),
        aliases: TopicAliases::default(),
        aliases_out: Aliases::new(connect.topic_alias_maximum.min(limits.topic_aliases)),
    }
}
