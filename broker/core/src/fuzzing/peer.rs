//! One connection of a script, and the rules that it is watched by.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::timeout;

use super::decode::{self, Said};
use super::encode::Version;
use super::{Heard, IN_FLIGHT};

/// Longest packet that the broker takes, and so the longest that is looked at here.
const LONGEST: usize = 1024;

pub(super) struct Peer {
    stream: DuplexStream,
    pub(super) version: Version,
    /// What the client has sent of a packet that is not whole.
    sent: Vec<u8>,
    /// Whether the first packet was sent whole; what it names counts.
    greeted: bool,
    /// What the broker has said of a packet that is not whole.
    said: Vec<u8>,
    connack: Option<bool>,
    /// The broker has said its last.
    ended: bool,
    /// How many packets of this type and id the client has sent, less those that were answered.
    asked: HashMap<(u8, u16), i64>,
    /// QoS of messages from the broker that are not yet acknowledged.
    outstanding: HashMap<u16, u8>,
    window: usize,
    /// What kinds of packets it was sent.
    pub(super) heard: Heard,
}

impl Peer {
    pub(super) fn new(stream: DuplexStream) -> Self {
        Self {
            stream,
            version: Version::V311,
            sent: Vec::new(),
            greeted: false,
            said: Vec::new(),
            connack: None,
            ended: false,
            asked: HashMap::new(),
            outstanding: HashMap::new(),
            window: IN_FLIGHT.into(),
            heard: Heard::new(),
        }
    }

    /// The client's Receive Maximum; named before its CONNECT is sent.
    pub(super) fn receives_at_most(&mut self, messages: u16) {
        if messages > 0 {
            self.window = self.window.min(messages.into());
        }
    }

    /// Sends bytes, as far as the broker takes them.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.note(bytes);
        let sending = self.stream.write_all(bytes);
        // Who is not read from for so long, or not at all, has been closed.
        let _ = timeout(Duration::from_mins(1), sending).await;
    }

    /// Acknowledges the oldest message as the standard says.
    pub(super) async fn acknowledge(&mut self) {
        let Some((id, qos)) = self.outstanding.iter().map(|(id, qos)| (*id, *qos)).min() else {
            return;
        };
        let [high, low] = id.to_be_bytes();
        let first = if qos == 1 { 0x40 } else { 0x50 };
        self.send(&[first, 2, high, low]).await;
        if qos == 2 {
            self.send(&[0x70, 2, high, low]).await;
        }
    }

    /// Follows what the client sends, packet by packet, as the broker has to.
    fn note(&mut self, bytes: &[u8]) {
        self.sent.extend(bytes);
        loop {
            let (mut length, mut header) = (0_usize, 1);
            loop {
                let Some(byte) = self.sent.get(header).copied() else {
                    return;
                };
                if header > 4 {
                    return;
                }
                length |= usize::from(byte & 0x7f) << (7 * (header - 1));
                header += 1;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if length > LONGEST || self.sent.len() < header + length {
                return;
            }
            let packet: Vec<u8> = self.sent.drain(..header + length).collect();
            self.note_packet(packet[0], &packet[header..]);
        }
    }

    fn note_packet(&mut self, first: u8, body: &[u8]) {
        if !self.greeted {
            self.greeted = true;
            // A newer level is answered as MQTT 5.
            if body.starts_with(b"\x00\x04MQTT") && body.get(6).is_some_and(|level| *level >= 5) {
                self.version = Version::V5;
            } else if body.starts_with(b"\x00\x06MQIsdp\x03") {
                self.version = Version::V31;
            }
            return;
        }
        let number = |at: usize| {
            let bytes = body.get(at..at + 2);
            bytes.map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        let (kind, mut at) = (first >> 4, 0);
        let mut key = kind;
        if kind == 3 {
            at = usize::from(number(0).unwrap_or_default()) + 2;
            // The type of the acknowledgement, 4 or 5, stands for the QoS.
            key = 3 + (first >> 1 & 0b11);
        }
        let id = if kind == 12 { Some(0) } else { number(at) };
        let Some(id) = id else {
            return;
        };
        let counts = match kind {
            3 => key > 3,
            5 | 6 | 8 | 10 | 12 => true,
            _ => false,
        };
        if counts {
            // An answer of the client's counts as a type of its own.
            let key = if kind == 5 { 105 } else { key };
            *self.asked.entry((key, id)).or_default() += 1;
        }
        match (kind, self.outstanding.get(&id)) {
            (4 | 7, Some(_)) | (5, Some(1)) => drop(self.outstanding.remove(&id)),
            (5, Some(_)) if body.get(2).is_some_and(|reason| *reason >= 0x80) => {
                self.outstanding.remove(&id);
            }
            _ => {}
        }
    }

    /// Reads what the broker has said by now and checks it. False if the connection is over.
    pub(super) fn listen(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let mut chunk = [0; 4096];
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.stream).poll_read(&mut cx, &mut chunk) {
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => {
                    self.check();
                    assert!(self.said.is_empty(), "the connection ended within a packet");
                    return false;
                }
                Poll::Ready(Ok(())) => self.said.extend(chunk.filled()),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => break,
            }
        }
        self.check();
        true
    }

    fn check(&mut self) {
        while let Some((said, length)) = decode::packet(self.version, &self.said) {
            self.said.drain(..length);
            assert!(!self.ended, "{said:?} after the last packet");
            self.check_packet(&said);
        }
    }

    fn check_packet(&mut self, said: &Said) {
        self.heard.insert(said.kind());
        if let Said::ConnAck { present, code } = *said {
            assert!(self.connack.is_none(), "a second CONNACK");
            self.connack = Some(present);
            self.ended = code != 0;
            return;
        }
        let Some(present) = self.connack else {
            panic!("{said:?} before the CONNACK");
        };
        match *said {
            Said::ConnAck { .. } | Said::Publish { qos: 0, .. } => {}
            Said::Publish { qos, id, dup } => {
                assert!(
                    !dup || present || self.version == Version::V31,
                    "DUP of a new session"
                );
                let before = self.outstanding.insert(id, qos);
                assert!(before.is_none(), "packet id {id} is in flight already");
                let count = self.outstanding.len();
                assert!(
                    count <= self.window,
                    "{count} in flight, the window is {}",
                    self.window
                );
            }
            Said::Ack(6, id) => {
                // Of a resumed session it may be an old one.
                if !self.answers(105, id) {
                    let may_be_old = present || self.version == Version::V31;
                    assert!(may_be_old, "a PUBREL for {id}, which was not received");
                    self.outstanding.insert(id, 2);
                }
            }
            Said::Ack(kind, id) => {
                let of = if kind == 7 { 6 } else { kind };
                assert!(
                    self.answers(of, id),
                    "packet type {kind} for {id}, which was not sent"
                );
            }
            Said::SubAck(id) => assert!(self.answers(8, id), "SUBACK for {id}"),
            Said::UnsubAck(id) => assert!(self.answers(10, id), "UNSUBACK for {id}"),
            Said::PingResp => assert!(self.answers(12, 0), "an unasked PINGRESP"),
            Said::Disconnect => self.ended = true,
        }
    }

    /// Takes one of the packets that this answers.
    fn answers(&mut self, kind: u8, id: u16) -> bool {
        let Some(left) = self.asked.get_mut(&(kind, id)).filter(|left| **left > 0) else {
            return false;
        };
        *left -= 1;
        true
    }
}
