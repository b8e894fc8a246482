//! What each packet of a client does.

use partyline_plugin::Reason;

use super::Connection;
use crate::codec::Answer;
use crate::packet::{Packet, ProtocolError};
use crate::session::Rel;
use crate::sweeper::coarse_secs;

/// Whether the connection goes on.
pub(super) enum Flow {
    Go,
    Disconnect {
        publish_will: bool,
        expiry_secs: Option<u32>,
    },
}

impl Connection {
    /// Handles the packets that have come, as far as the client may go on.
    pub(super) async fn handle_input(&mut self) -> Result<Flow, ProtocolError> {
        let mut heard = false;
        while self.has_room()
            && !self.pending.is_full()
            && self.pace.paused_until().is_none()
            && !self.attachment.signal.is_stopped()
        {
            let Some(packet) = self.codec.decode(&mut self.wire.input)? else {
                break;
            };
            if !heard {
                // Only a whole packet is a sign of life.
                self.attachment.seen(coarse_secs());
                heard = true;
            }
            match self.handle(packet).await? {
                Flow::Go => {}
                end @ Flow::Disconnect { .. } => return Ok(end),
            }
            self.settle();
        }
        Ok(Flow::Go)
    }

    async fn handle(&mut self, packet: Packet) -> Result<Flow, ProtocolError> {
        match packet {
            Packet::Publish(publish) => self.on_publish(publish).await?,
            Packet::PubAck { id, reason } => {
                if let Some(mut state) = self.held() {
                    state.outbound.on_puback(id, reason);
                }
            }
            Packet::PubRec { id, reason } => self.on_pubrec(id, reason),
            Packet::PubRel { id } => self.on_pubrel(id),
            Packet::PubComp { id } => {
                if let Some(mut state) = self.held() {
                    state.outbound.on_pubcomp(id);
                }
            }
            Packet::Subscribe(subscribe) => Box::pin(self.on_subscribe(subscribe)).await?,
            Packet::Unsubscribe(unsubscribe) => Box::pin(self.on_unsubscribe(unsubscribe)).await?,
            Packet::PingReq => self.codec.pingresp(&mut self.wire.output),
            Packet::Disconnect(disconnect) => {
                let expiry_secs = disconnect.session_expiry;
                let had_none = self.held().is_some_and(|state| state.expiry_secs == 0);
                if had_none && expiry_secs.is_some_and(|secs| secs > 0) {
                    // MQTT 5 §3.14.2.2.2
                    let detail = "a session expiry at DISCONNECT where CONNECT had none";
                    return Err(ProtocolError::new(Reason::ProtocolError, detail));
                }
                return Ok(Flow::Disconnect {
                    publish_will: disconnect.with_will,
                    expiry_secs,
                });
            }
            Packet::Auth => {
                let detail = "AUTH without an authentication method";
                return Err(ProtocolError::new(Reason::ProtocolError, detail));
            }
            Packet::Unexpected(detail) => {
                return Err(ProtocolError::new(Reason::ProtocolError, detail));
            }
        }
        Ok(Flow::Go)
    }

    fn on_pubrec(&mut self, id: u16, reason: Reason) {
        let Some(mut state) = self.held() else {
            return;
        };
        let release = state.outbound.on_pubrec(id, reason);
        drop(state);
        let reason = match release {
            Some(Rel::Now) => Reason::Success,
            Some(Rel::Unknown) => Reason::PacketIdentifierNotFound,
            Some(Rel::Later) | None => return,
        };
        self.codec
            .ack(Answer::Rel, id, reason, &mut self.wire.output);
    }

    fn on_pubrel(&mut self, id: u16) {
        let Some(mut state) = self.held() else {
            return;
        };
        let known = state.received.release(id);
        // Until that is on disk the client may not use the id again: the next message would be
        // taken for this one after a crash.
        let rows = state.outbound.rows().filter(|_| known);
        let mut ticket = rows.map(|rows| rows.release(id));
        drop(state);
        if !known && self.pending.is_releasing(id) {
            ticket = Some(self.kernel.journal.latest());
        }
        let reason = if known {
            Reason::Success
        } else {
            Reason::PacketIdentifierNotFound
        };
        if let Some(ticket) = ticket {
            self.pending.releasing(id, reason, ticket);
            return;
        }
        self.codec
            .ack(Answer::Comp, id, reason, &mut self.wire.output);
    }
}
