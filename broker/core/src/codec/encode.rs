//! Packets to clients, except PUBLISH.

use std::num::NonZeroU16;

use bytes::BytesMut;
use partyline_plugin::{ProtocolVersion, Qos, Reason, Refusal};
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder;

use super::publish::length_len;
use super::{Codec, Inner, qos_out};
use crate::packet::ConnAck;

/// Acknowledgements of the four-way and two-way handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// PUBACK.
    Ack,
    /// PUBREC.
    Rec,
    /// PUBREL.
    Rel,
    /// PUBCOMP.
    Comp,
}

impl Codec {
    pub(crate) fn connack(&mut self, connack: ConnAck, output: &mut BytesMut) {
        self.tally.packets_out += 1;
        match &mut self.inner {
            Inner::V3(_) => self.connack_v3(
                v3::ConnectAckReason::ConnectionAccepted,
                // 3.1 has no such flag: the byte is reserved.
                connack.session_present && self.version != ProtocolVersion::V31,
                output,
            ),
            Inner::V5(_) => {
                let mut packet = v5::ConnectAck {
                    session_present: connack.session_present,
                    session_expiry_interval_secs: connack.session_expiry,
                    receive_max: NonZeroU16::new(connack.receive_maximum)
                        .unwrap_or(NonZeroU16::MIN),
                    max_packet_size: Some(connack.max_packet_size),
                    topic_alias_max: connack.topic_alias_maximum,
                    assigned_client_id: connack.assigned_client_id.map(Into::into),
                    server_keepalive_sec: connack.server_keep_alive,
                    response_info: connack.response_information.map(Into::into),
                    user_properties: connack
                        .user_properties
                        .into_iter()
                        .map(|(key, value)| (key.into(), value.into()))
                        .collect(),
                    ..v5::ConnectAck::default()
                };
                // [MQTT-3.2.2-20]
                if !self.put_fitting(v5::Packet::from(packet.clone()), output) {
                    packet.user_properties.clear();
                    packet.response_info = None;
                    self.put_fitting(v5::Packet::from(packet), output);
                }
            }
        }
    }

    /// A CONNACK that refuses. 3.1 and 3.1.1 have five codes, of which the nearest is sent.
    pub(crate) fn refuse(&mut self, reason: Reason, message: Option<&str>, output: &mut BytesMut) {
        self.tally.packets_out += 1;
        if self.version == ProtocolVersion::V5 {
            let reason_code = v5::ConnectAckReason::try_from(reason.code())
                .unwrap_or(v5::ConnectAckReason::UnspecifiedError);
            let reason_string = message.map(Into::into);
            let mut packet = v5::ConnectAck {
                reason_code,
                reason_string,
                ..Default::default()
            };
            // [MQTT-3.2.2-19]
            if !self.put_fitting(v5::Packet::from(packet.clone()), output) {
                packet.reason_string = None;
                self.put_fitting(v5::Packet::from(packet), output);
            }
            return;
        }
        let code = match reason {
            Reason::UnsupportedProtocolVersion => v3::ConnectAckReason::UnacceptableProtocolVersion,
            Reason::ClientIdentifierNotValid => v3::ConnectAckReason::IdentifierRejected,
            Reason::BadUserNameOrPassword => v3::ConnectAckReason::BadUserNameOrPassword,
            Reason::ServerUnavailable
            | Reason::ServerBusy
            | Reason::ServerShuttingDown
            | Reason::ConnectionRateExceeded => v3::ConnectAckReason::ServiceUnavailable,
            _ => v3::ConnectAckReason::NotAuthorized,
        };
        self.connack_v3(code, false, output);
    }

    fn connack_v3(
        &mut self,
        return_code: v3::ConnectAckReason,
        session_present: bool,
        output: &mut BytesMut,
    ) {
        if let Inner::V3(codec) = &mut self.inner {
            let ack = v3::ConnectAck {
                return_code,
                session_present,
            };
            put(codec.encode(v3::Packet::ConnectAck(ack), output));
        }
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub(crate) fn ack(&mut self, answer: Answer, id: u16, reason: Reason, output: &mut BytesMut) {
        self.ack_because(answer, id, &reason.into(), output);
    }

    /// The same that says why, if the client wants to know and the packet is not too large for it.
    pub(crate) fn ack_because(
        &mut self,
        answer: Answer,
        id: u16,
        why: &Refusal,
        output: &mut BytesMut,
    ) {
        let reason = why.reason;
        let message = why.message.as_deref().filter(|_| self.wants_reasons);
        let Some(packet_id) = NonZeroU16::new(id) else {
            return;
        };
        self.tally.packets_out += 1;
        match &mut self.inner {
            Inner::V3(codec) => {
                let packet = match answer {
                    Answer::Ack => v3::Packet::PublishAck { packet_id },
                    Answer::Rec => v3::Packet::PublishReceived { packet_id },
                    Answer::Rel => v3::Packet::PublishRelease { packet_id },
                    Answer::Comp => v3::Packet::PublishComplete { packet_id },
                };
                put(codec.encode(packet, output));
            }
            Inner::V5(_) => {
                let first = |message: Option<&str>| v5::PublishAck {
                    packet_id,
                    reason_code: v5::PublishAckReason::try_from(reason.code())
                        .unwrap_or(v5::PublishAckReason::ImplementationSpecificError),
                    properties: Vec::new(),
                    reason_string: message.map(Into::into),
                };
                let second = |message: Option<&str>| v5::PublishAck2 {
                    packet_id,
                    reason_code: v5::PublishAck2Reason::try_from(reason.code())
                        .unwrap_or(v5::PublishAck2Reason::Success),
                    properties: Vec::new(),
                    reason_string: message.map(Into::into),
                };
                let packet = |message| match answer {
                    Answer::Ack => v5::Packet::PublishAck(first(message)),
                    Answer::Rec => v5::Packet::PublishReceived(first(message)),
                    Answer::Rel => v5::Packet::PublishRelease(second(message)),
                    Answer::Comp => v5::Packet::PublishComplete(second(message)),
                };
                // [MQTT-3.4.2-2] and its like; the rest of it fits always.
                if message.is_none() || !self.put_fitting(packet(message), output) {
                    self.put_fitting(packet(None), output);
                }
            }
        }
    }

    /// SUBACK: one granted QoS or refusal for each filter. The detail says why one was refused.
    pub(crate) fn suback(
        &mut self,
        id: u16,
        granted: &[Result<Qos, Reason>],
        detail: Option<&str>,
        output: &mut BytesMut,
    ) {
        let Some(packet_id) = NonZeroU16::new(id) else {
            return;
        };
        self.tally.packets_out += 1;
        if let Inner::V3(codec) = &mut self.inner {
            let status = granted
                .iter()
                .map(|granted| match granted {
                    Ok(qos) => v3::SubscribeReturnCode::Success(qos_out(*qos)),
                    Err(_) => v3::SubscribeReturnCode::Failure,
                })
                .collect();
            put(codec.encode(v3::Packet::SubscribeAck { packet_id, status }, output));
            return;
        }
        let status: Vec<_> = granted
            .iter()
            .map(|granted| {
                let code = match granted {
                    Ok(qos) => qos.level(),
                    Err(reason) => reason.code(),
                };
                v5::SubscribeAckReason::try_from(code)
                    .unwrap_or(v5::SubscribeAckReason::UnspecifiedError)
            })
            .collect();
        let packet = |message: Option<&str>| {
            v5::Packet::SubscribeAck(v5::SubscribeAck {
                packet_id,
                properties: Vec::new(),
                reason_string: message.map(Into::into),
                status: status.clone(),
            })
        };
        let message = detail.filter(|_| self.wants_reasons);
        // [MQTT-3.9.2-1]
        if message.is_none() || !self.put_fitting(packet(message), output) {
            self.put_fitting(packet(None), output);
        }
    }

    /// UNSUBACK: one reason for each filter.
    pub(crate) fn unsuback(&mut self, id: u16, reasons: &[Reason], output: &mut BytesMut) {
        let Some(packet_id) = NonZeroU16::new(id) else {
            return;
        };
        self.tally.packets_out += 1;
        match &mut self.inner {
            Inner::V3(codec) => {
                put(codec.encode(v3::Packet::UnsubscribeAck { packet_id }, output));
            }
            Inner::V5(codec) => {
                let status = reasons
                    .iter()
                    .map(|reason| {
                        v5::UnsubscribeAckReason::try_from(reason.code())
                            .unwrap_or(v5::UnsubscribeAckReason::UnspecifiedError)
                    })
                    .collect();
                let properties = Vec::new();
                let ack = v5::UnsubscribeAck {
                    packet_id,
                    properties,
                    reason_string: None,
                    status,
                };
                put(codec.encode(v5::Packet::UnsubscribeAck(ack), output));
            }
        }
    }

    pub(crate) fn pingresp(&mut self, output: &mut BytesMut) {
        self.tally.packets_out += 1;
        match &mut self.inner {
            Inner::V3(codec) => put(codec.encode(v3::Packet::PingResponse, output)),
            Inner::V5(codec) => put(codec.encode(v5::Packet::PingResponse, output)),
        }
    }

    /// DISCONNECT; only MQTT 5 lets a server send one.
    pub(crate) fn disconnect(
        &mut self,
        reason: Reason,
        message: Option<&str>,
        output: &mut BytesMut,
    ) {
        self.tally.packets_out += u32::from(self.version == ProtocolVersion::V5);
        let mut packet = v5::Disconnect {
            reason_code: v5::DisconnectReasonCode::try_from(reason.code())
                .unwrap_or(v5::DisconnectReasonCode::UnspecifiedError),
            reason_string: message.map(Into::into),
            ..v5::Disconnect::default()
        };
        // [MQTT-3.14.2-3]
        if !self.put_fitting(v5::Packet::Disconnect(packet.clone()), output) {
            packet.reason_string = None;
            self.put_fitting(v5::Packet::Disconnect(packet), output);
        }
    }

    /// Encodes for MQTT 5. False, and nothing is written, if the client takes no packet so large, or
    /// there is none.
    fn put_fitting(&mut self, packet: v5::Packet, output: &mut BytesMut) -> bool {
        let Inner::V5(codec) = &mut self.inner else {
            return true;
        };
        let start = output.len();
        let encoded = codec.encode(packet, output);
        if let Err(error) = &encoded {
            // A reason that quotes a long topic may be longer than a string can be.
            tracing::debug!(%error, "a packet could not be encoded");
        }
        let fits = encoded.is_ok() && self.fits(output.len() - start);
        if !fits {
            output.truncate(start);
        }
        fits
    }
}

/// Bytes of a SUBACK or UNSUBACK of MQTT 5 with so many codes.
pub(crate) fn answer_len(codes: usize) -> usize {
    // The packet id and an empty property section.
    let length = 3 + codes;
    1 + length_len(length) + length
}

/// PUBREL with success, which has the same bytes in every version.
pub(crate) fn write_pubrel(id: u16, output: &mut BytesMut) {
    output.extend_from_slice(&[0x62, 2]);
    output.extend_from_slice(&id.to_be_bytes());
}

/// These packets are of our own making and within every limit; should one fail all the same, it is
/// left out and said so.
fn put(encoded: Result<(), rmqtt_codec::error::EncodeError>) {
    if let Err(error) = encoded {
        tracing::error!(%error, "a packet could not be encoded");
    }
}
