//! Packets from clients.

use std::num::NonZeroU16;

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use partyline_plugin::{MessageProperties, ProtocolVersion, Reason, RetainHandling};
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::Publish as WirePublish;
use rmqtt_codec::v3;
use rmqtt_codec::v5::{self, PublishProperties, RetainHandling as WireRetainHandling};
use tokio_util::codec::Decoder;

use super::checks::{
    ConnectFlags, PUBLISH, check_raw, check_response_topic, version_of, zero_expiry_of_publish,
};
use super::frame::first_packet;
use super::{Codec, FrameError, Inner, qos_in};
use crate::packet::{
    Connect, Disconnect, Packet, Publish, Subscribe, SubscribeOptions, Unsubscribe, Will,
};

impl Codec {
    /// Takes the next packet off the front of `input`; `None` while it is not all there.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Packet>, FrameError> {
        let Some(frame) = first_packet(input, self.max_packet)? else {
            return Ok(None);
        };
        let mut packet = input.split_to(frame.total);
        let first = packet.first().copied().unwrap_or_default();
        let body = packet.get(frame.header..).unwrap_or_default();
        check_raw(self.version, first, body)?;
        let expires_at_once = self.version == ProtocolVersion::V5 && first >> 4 == PUBLISH && {
            let zero = zero_expiry_of_publish(first, body);
            zero.is_some_and(|at| raise_expiry(&mut packet, frame.header + at))
        };
        let decoded = match &mut self.inner {
            Inner::V3(codec) => codec
                .decode(&mut packet)
                .map(|p| p.map(|(p, _)| from_v3(p))),
            Inner::V5(codec) => codec
                .decode(&mut packet)
                .map(|p| p.map(|(p, _)| from_v5(p))),
        };
        let incomplete = || FrameError::new(Reason::MalformedPacket, "packet shorter than it says");
        let mut packet = decoded
            .map_err(|error| malformed(&error))?
            .ok_or_else(incomplete)??;
        self.tally.packets_in += 1;
        if let Packet::Publish(publish) = &mut packet {
            self.tally.message_in(publish.qos);
            if expires_at_once {
                lower_expiry(&mut publish.properties);
            }
        }
        Ok(Some(packet))
    }

    /// Takes a CONNECT off the front of `input` and becomes the codec of its version.
    ///
    /// `Ok(None)` while it is not all there. The version of an error is `None` where none could be
    /// told; then there is nothing to answer.
    pub(crate) fn accept(
        input: &mut BytesMut,
        max_packet: usize,
    ) -> Result<Option<(Self, Connect)>, NotConnect> {
        if input.first().is_some_and(|byte| *byte != 0x10) {
            let error = FrameError::new(Reason::ProtocolError, "the first packet is no CONNECT");
            return Err((None, error));
        }
        let Some(frame) = first_packet(input, max_packet).map_err(|error| (None, error))? else {
            return Ok(None);
        };
        let mut packet = input.split_to(frame.total);
        let body = packet.get(frame.header..).unwrap_or_default();
        let Some(version) = version_of(body) else {
            return Err(unknown_version(body));
        };
        let fail = |error: FrameError| {
            // [MQTT-3.1.4-1] of 3.1.1: what is malformed gets no CONNACK.
            let silent = version != ProtocolVersion::V5 && error.reason == Reason::MalformedPacket;
            ((!silent).then_some(version), error)
        };
        let malformed = |detail| fail(FrameError::new(Reason::MalformedPacket, detail));
        let Some((at, flags)) = ConnectFlags::of(body) else {
            return Err(malformed("CONNECT without flags"));
        };
        flags.check(version).map_err(fail)?;
        if !flags.end_with_payload(version, body.get(at + 3..).unwrap_or_default()) {
            return Err(malformed("CONNECT longer or shorter than what is in it"));
        }
        let clean_start = flags.clean_start();
        let zero = (version == ProtocolVersion::V5)
            .then(|| flags.zero_expiry_of_will(body.get(at + 3..)?))
            .flatten();
        let will_expires_at_once =
            zero.is_some_and(|zero| raise_expiry(&mut packet, frame.header + at + 3 + zero));
        if version == ProtocolVersion::V5
            && let Some(byte) = packet.get_mut(frame.header + at)
        {
            // The library refuses an empty client id without Clean Start, which MQTT 5 allows.
            *byte |= 0b10;
        }
        let mut codec = Self::new(version, max_packet);
        let mut connect = match &mut codec.inner {
            Inner::V3(inner) => match inner.decode(&mut packet) {
                Ok(Some((v3::Packet::Connect(connect), _))) => {
                    connect_v3(*connect, version).map_err(fail)?
                }
                other => return Err(fail(not_connect(other.err()))),
            },
            Inner::V5(inner) => match inner.decode(&mut packet) {
                Ok(Some((v5::Packet::Connect(connect), _))) => {
                    connect_v5(*connect, clean_start).map_err(fail)?
                }
                other => return Err(fail(not_connect(other.err()))),
            },
        };
        if will_expires_at_once && let Some(will) = &mut connect.will {
            lower_expiry(&mut will.properties);
        }
        codec.max_sent = connect.max_packet_size;
        codec.wants_reasons = connect.request_problem_information;
        Ok(Some((codec, connect)))
    }
}

/// The library refuses a Message Expiry Interval of 0, which MQTT 5 allows: it is shown a 1.
fn raise_expiry(packet: &mut BytesMut, at: usize) -> bool {
    let Some(byte) = packet.get_mut(at) else {
        return false;
    };
    *byte = 1;
    true
}

fn lower_expiry(properties: &mut Option<Box<MessageProperties>>) {
    if let Some(properties) = properties {
        properties.expiry_secs = Some(0);
    }
}

/// Why there is no CONNECT, and the version to answer it in, if one could be told.
pub(crate) type NotConnect = (Option<ProtocolVersion>, FrameError);

fn not_connect(error: Option<DecodeError>) -> FrameError {
    error.map_or_else(
        || FrameError::new(Reason::MalformedPacket, "CONNECT shorter than it says"),
        |error| malformed(&error),
    )
}

/// A protocol name of MQTT with a level we do not speak can be answered; others cannot.
fn unknown_version(mut body: &[u8]) -> NotConnect {
    let error = FrameError::new(
        Reason::UnsupportedProtocolVersion,
        "unknown protocol version",
    );
    if body.len() < 7 || body.get_u16() != 4 || !body.starts_with(b"MQTT") {
        return (None, error);
    }
    body.advance(4);
    // [MQTT-3.1.2-2]: newer levels are answered as MQTT 5, older ones as 3.1.1.
    let version = if body.get_u8() > 5 {
        ProtocolVersion::V5
    } else {
        ProtocolVersion::V311
    };
    (Some(version), error)
}

fn malformed(error: &DecodeError) -> FrameError {
    let reason = match error {
        DecodeError::InvalidClientId => Reason::ClientIdentifierNotValid,
        DecodeError::UnsupportedProtocolLevel => Reason::UnsupportedProtocolVersion,
        DecodeError::InvalidTopicFilter => Reason::ProtocolError,
        _ => Reason::MalformedPacket,
    };
    FrameError::new(reason, error.to_string().to_lowercase())
}

fn from_v3(packet: v3::Packet) -> Result<Packet, FrameError> {
    Ok(match packet {
        v3::Packet::Publish(publish) => Packet::Publish(publish_in(*publish)?),
        v3::Packet::PublishAck { packet_id } => Packet::PubAck {
            id: packet_id.get(),
            reason: Reason::Success,
        },
        v3::Packet::PublishReceived { packet_id } => Packet::PubRec {
            id: packet_id.get(),
            reason: Reason::Success,
        },
        v3::Packet::PublishRelease { packet_id } => Packet::PubRel {
            id: packet_id.get(),
        },
        v3::Packet::PublishComplete { packet_id } => Packet::PubComp {
            id: packet_id.get(),
        },
        v3::Packet::Subscribe {
            packet_id,
            topic_filters,
        } => Packet::Subscribe(Subscribe {
            id: packet_id.get(),
            filters: topic_filters
                .into_iter()
                .map(|(filter, qos)| {
                    let options = SubscribeOptions {
                        qos: qos_in(qos),
                        no_local: false,
                        retain_as_published: false,
                        retain_handling: RetainHandling::Always,
                        subscription_id: None,
                    };
                    Ok((text(&filter)?, options))
                })
                .collect::<Result<_, _>>()?,
        }),
        v3::Packet::Unsubscribe {
            packet_id,
            topic_filters,
        } => Packet::Unsubscribe(Unsubscribe {
            id: packet_id.get(),
            filters: topic_filters.iter().map(text).collect::<Result<_, _>>()?,
        }),
        v3::Packet::PingRequest => Packet::PingReq,
        v3::Packet::Disconnect => Packet::Disconnect(Disconnect {
            with_will: false,
            session_expiry: None,
        }),
        v3::Packet::Connect(_) => Packet::Unexpected("a second CONNECT"),
        v3::Packet::ConnectAck(_)
        | v3::Packet::SubscribeAck { .. }
        | v3::Packet::UnsubscribeAck { .. }
        | v3::Packet::PingResponse => Packet::Unexpected("a packet that only servers send"),
    })
}

fn from_v5(packet: v5::Packet) -> Result<Packet, FrameError> {
    Ok(match packet {
        v5::Packet::Publish(publish) => Packet::Publish(publish_in(*publish)?),
        v5::Packet::PublishAck(ack) => {
            check_strings(ack.reason_string.as_ref(), &ack.properties)?;
            Packet::PubAck {
                id: ack.packet_id.get(),
                reason: reason(ack.reason_code.into()),
            }
        }
        v5::Packet::PublishReceived(ack) => {
            check_strings(ack.reason_string.as_ref(), &ack.properties)?;
            Packet::PubRec {
                id: ack.packet_id.get(),
                reason: reason(ack.reason_code.into()),
            }
        }
        v5::Packet::PublishRelease(ack) => {
            check_strings(ack.reason_string.as_ref(), &ack.properties)?;
            Packet::PubRel {
                id: ack.packet_id.get(),
            }
        }
        v5::Packet::PublishComplete(ack) => {
            check_strings(ack.reason_string.as_ref(), &ack.properties)?;
            Packet::PubComp {
                id: ack.packet_id.get(),
            }
        }
        v5::Packet::Subscribe(subscribe) => Packet::Subscribe(subscribe_v5(subscribe)?),
        v5::Packet::Unsubscribe(unsubscribe) => {
            check_strings(None, &unsubscribe.user_properties)?;
            Packet::Unsubscribe(Unsubscribe {
                id: unsubscribe.packet_id.get(),
                filters: unsubscribe
                    .topic_filters
                    .iter()
                    .map(text)
                    .collect::<Result<_, _>>()?,
            })
        }
        v5::Packet::PingRequest => Packet::PingReq,
        v5::Packet::Disconnect(disconnect) => Packet::Disconnect(Disconnect {
            // MQTT 5 §3.1.2.5: only a normal disconnection takes the will away.
            with_will: u8::from(disconnect.reason_code) != Reason::Success.code(),
            session_expiry: disconnect.session_expiry_interval_secs,
        }),
        v5::Packet::Auth(_) => Packet::Auth,
        v5::Packet::Connect(_) => Packet::Unexpected("a second CONNECT"),
        v5::Packet::ConnectAck(_)
        | v5::Packet::SubscribeAck(_)
        | v5::Packet::UnsubscribeAck(_)
        | v5::Packet::PingResponse => Packet::Unexpected("a packet that only servers send"),
    })
}

fn subscribe_v5(subscribe: v5::Subscribe) -> Result<Subscribe, FrameError> {
    check_strings(None, &subscribe.user_properties)?;
    let filters = { subscribe.topic_filters.into_iter() }
        .map(|(filter, options)| {
            let retain_handling = match options.retain_handling {
                WireRetainHandling::AtSubscribe => RetainHandling::Always,
                WireRetainHandling::AtSubscribeNew => RetainHandling::IfNew,
                WireRetainHandling::NoAtSubscribe => RetainHandling::Never,
            };
            let options = SubscribeOptions {
                qos: qos_in(options.qos),
                no_local: options.no_local,
                retain_as_published: options.retain_as_published,
                retain_handling,
                subscription_id: subscribe.id,
            };
            Ok((text(&filter)?, options))
        })
        .collect::<Result<_, _>>()?;
    Ok(Subscribe {
        id: subscribe.packet_id.get(),
        filters,
    })
}

fn publish_in(publish: WirePublish) -> Result<Publish, FrameError> {
    let (alias, identifier) = publish
        .properties
        .as_ref()
        .map_or((None, false), |properties| {
            (
                properties.topic_alias,
                !properties.subscription_ids.is_empty(),
            )
        });
    Ok(Publish {
        topic: text(&publish.topic)?,
        payload: publish.payload,
        qos: qos_in(publish.qos),
        retain: publish.retain,
        id: publish.packet_id.map_or(0, NonZeroU16::get),
        topic_alias: alias,
        has_subscription_id: identifier,
        properties: publish
            .properties
            .as_ref()
            .map(properties_in)
            .transpose()?
            .flatten(),
    })
}

fn properties_in(
    properties: &PublishProperties,
) -> Result<Option<Box<MessageProperties>>, FrameError> {
    let mut message = MessageProperties::default();
    message.utf8_payload = properties.is_utf8_payload;
    message.expiry_secs = properties.message_expiry_interval.map(Into::into);
    message.content_type = maybe_text(properties.content_type.as_ref())?;
    message.response_topic = maybe_text(properties.response_topic.as_ref())?;
    message.correlation_data = properties.correlation_data.as_ref().map(own);
    message.user = pairs(&properties.user_properties)?;
    Ok((!message.is_empty()).then(|| Box::new(message)))
}

fn connect_v3(connect: v3::Connect, version: ProtocolVersion) -> Result<Connect, FrameError> {
    let will = connect.last_will.map(|will| {
        Ok(Will {
            topic: text(&will.topic)?,
            payload: will.message,
            qos: qos_in(will.qos),
            retain: will.retain,
            delay_secs: 0,
            properties: None,
        })
    });
    Ok(Connect {
        version,
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        session_expiry: if connect.clean_session { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        max_packet_size: None,
        topic_alias_maximum: 0,
        request_response_information: false,
        request_problem_information: true,
        has_auth_method: false,
        user_properties: Vec::new(),
        will: will.transpose()?,
        client_id: text(&connect.client_id)?,
        username: maybe_text(connect.username.as_ref())?,
        password: connect.password,
    })
}

fn connect_v5(connect: v5::Connect, clean_start: bool) -> Result<Connect, FrameError> {
    if connect.auth_data.is_some() && connect.auth_method.is_none() {
        // MQTT 5 §3.1.2.11.10
        let detail = "authentication data without a method";
        return Err(FrameError::new(Reason::ProtocolError, detail));
    }
    Ok(Connect {
        version: ProtocolVersion::V5,
        clean_start,
        keep_alive: connect.keep_alive,
        session_expiry: connect.session_expiry_interval_secs,
        receive_maximum: connect.receive_max.map_or(u16::MAX, NonZeroU16::get),
        max_packet_size: connect.max_packet_size.map(Into::into),
        topic_alias_maximum: connect.topic_alias_max,
        request_response_information: connect.request_response_info,
        request_problem_information: connect.request_problem_info,
        has_auth_method: connect.auth_method.is_some(),
        user_properties: pairs(&connect.user_properties)?,
        will: connect.last_will.map(will_v5).transpose()?,
        client_id: text(&connect.client_id)?,
        username: maybe_text(connect.username.as_ref())?,
        password: connect.password,
    })
}

fn will_v5(will: v5::LastWill) -> Result<Will, FrameError> {
    let mut properties = MessageProperties::default();
    properties.utf8_payload = will.is_utf8_payload.unwrap_or_default();
    properties.expiry_secs = will.message_expiry_interval.map(Into::into);
    properties.content_type = maybe_text(will.content_type.as_ref())?;
    properties.response_topic = maybe_text(will.response_topic.as_ref())?;
    properties.correlation_data = will.correlation_data.as_ref().map(own);
    properties.user = pairs(&will.user_properties)?;
    check_response_topic(&properties)?;
    Ok(Will {
        topic: text(&will.topic)?,
        payload: will.message,
        qos: qos_in(will.qos),
        retain: will.retain,
        delay_secs: will.will_delay_interval_sec.unwrap_or_default(),
        properties: (!properties.is_empty()).then(|| Box::new(properties)),
    })
}

/// Copied for the same reason as [`text`].
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Copied, so that nothing kept pins the read buffer. The library checks that it is UTF-8, and
/// leaves U+0000 to us ([MQTT-1.5.4-2], [MQTT-1.5.3-2] of 3.1.1).
fn text(text: &ByteString) -> Result<Box<str>, FrameError> {
    check_text(text)?;
    Ok(Box::from(&**text))
}

fn check_text(text: &ByteString) -> Result<(), FrameError> {
    if text.contains('\0') {
        let detail = "a string with U+0000";
        return Err(FrameError::new(Reason::MalformedPacket, detail));
    }
    Ok(())
}

/// The strings of a packet that nobody reads must be strings all the same.
fn check_strings(
    reason: Option<&ByteString>,
    properties: &[(ByteString, ByteString)],
) -> Result<(), FrameError> {
    let pairs = properties.iter().flat_map(|(key, value)| [key, value]);
    reason.into_iter().chain(pairs).try_for_each(check_text)
}

/// User properties.
type Pairs = Vec<(Box<str>, Box<str>)>;

fn maybe_text(maybe: Option<&ByteString>) -> Result<Option<Box<str>>, FrameError> {
    maybe.map(text).transpose()
}

fn pairs(pairs: &[(ByteString, ByteString)]) -> Result<Pairs, FrameError> {
    pairs
        .iter()
        .map(|(key, value)| Ok((text(key)?, text(value)?)))
        .collect()
}

fn reason(code: u8) -> Reason {
    Reason::try_from(code).unwrap_or(Reason::UnspecifiedError)
}
