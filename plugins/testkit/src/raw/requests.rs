//! Packets to the broker, and the answers to them.

use anyhow::{Context, ensure};
use bytes::BytesMut;
use serde_json::Value;

use super::{Packet, Property, Publish, RawClient, Version, encode};

impl RawClient {
    /// The next PUBLISH on a topic.
    pub async fn publish_on(&mut self, topic: &str) -> anyhow::Result<Publish> {
        self.wait_for(topic, |packet| match packet {
            Packet::Publish(publish) if publish.topic == topic => Some(publish.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a PUBLISH and returns its packet id, 0 at QoS 0.
    pub async fn publish(
        &mut self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        qos: u8,
        retain: bool,
    ) -> anyhow::Result<u16> {
        let id = if qos == 0 { 0 } else { self.take_id() };
        let payload = payload.as_ref();
        self.send_publish(id, topic, payload, qos, retain, false, &[])
            .await?;
        Ok(id)
    }

    /// Sends a PUBLISH with everything given.
    #[expect(clippy::too_many_arguments, reason = "the fields of the packet")]
    pub async fn send_publish(
        &mut self,
        id: u16,
        topic: &str,
        payload: &[u8],
        qos: u8,
        retain: bool,
        dup: bool,
        properties: &[Property],
    ) -> anyhow::Result<()> {
        let first = 0x30 | u8::from(dup) << 3 | qos << 1 | u8::from(retain);
        let mut body = BytesMut::new();
        encode::text(&mut body, topic);
        if qos > 0 {
            body.extend_from_slice(&id.to_be_bytes());
        }
        if self.version == Version::V5 {
            encode::properties(&mut body, properties);
        }
        body.extend_from_slice(payload);
        self.send_bytes(&encode::packet(first, &body)).await
    }

    /// Sends an acknowledgement: packet type 4 to 7.
    pub async fn ack(&mut self, kind: u8, id: u16) -> anyhow::Result<()> {
        let flags = if kind == 6 { 2 } else { 0 };
        self.send_bytes(&encode::packet(kind << 4 | flags, &id.to_be_bytes()))
            .await
    }

    /// PUBACK.
    pub async fn puback(&mut self, id: u16) -> anyhow::Result<()> {
        self.ack(4, id).await
    }

    /// The reason of the acknowledgement with this packet type (4 to 7) and id.
    pub async fn acked(&mut self, kind: u8, id: u16) -> anyhow::Result<u8> {
        self.wait_for(
            &format!("packet type {kind} for {id}"),
            |packet| match packet {
                Packet::Ack(one, of, reason) | Packet::AckWith(one, of, reason, _)
                    if (*one, *of) == (kind, id) =>
                {
                    Some(*reason)
                }
                _ => None,
            },
        )
        .await
    }

    /// SUBSCRIBE, and the codes of the SUBACK.
    pub async fn subscribe(&mut self, filters: &[(&str, u8)]) -> anyhow::Result<Vec<u8>> {
        self.subscribe_with(filters, &[]).await
    }

    /// SUBSCRIBE with MQTT 5 properties, and the codes of the SUBACK.
    pub async fn subscribe_with(
        &mut self,
        filters: &[(&str, u8)],
        properties: &[Property],
    ) -> anyhow::Result<Vec<u8>> {
        let id = self.take_id();
        let mut body = self.with_id(id, properties);
        for (filter, options) in filters {
            encode::text(&mut body, filter);
            body.extend_from_slice(&[*options]);
        }
        self.send_bytes(&encode::packet(0x82, &body)).await?;
        self.wait_for("SUBACK", |packet| match packet {
            Packet::SubAck(of, codes) if *of == id => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// UNSUBSCRIBE, and the codes of the UNSUBACK (none before MQTT 5).
    pub async fn unsubscribe(&mut self, filters: &[&str]) -> anyhow::Result<Vec<u8>> {
        let id = self.take_id();
        let mut body = self.with_id(id, &[]);
        for filter in filters {
            encode::text(&mut body, filter);
        }
        self.send_bytes(&encode::packet(0xa2, &body)).await?;
        self.wait_for("UNSUBACK", |packet| match packet {
            Packet::UnsubAck(of, codes) if *of == id => Some(codes.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a command at QoS 1 and returns its reply, on `reply` in its namespace such as `$im/` or
    /// `$x/{plugin}/`, and the reason of the PUBACK.
    pub async fn request(&mut self, topic: &str, request: &Value) -> anyhow::Result<(Value, u8)> {
        let id = self.publish(topic, request.to_string(), 1, false).await?;
        let own = if topic.starts_with("$x/") { 2 } else { 1 };
        let end = topic.match_indices('/').nth(own - 1);
        let namespace = end.map_or(topic, |(end, _)| topic.get(..end).unwrap_or(topic));
        let reply = self.publish_on(&format!("{namespace}/reply")).await?;
        let reason = self.acked(4, id).await?;
        Ok((reply.json()?, reason))
    }

    /// Sends a command and expects it to succeed; returns its `ok`.
    pub async fn ok(&mut self, topic: &str, request: &Value) -> anyhow::Result<Value> {
        let (mut reply, reason) = self.request(topic, request).await?;
        ensure!(
            reason == 0,
            "{topic} was refused with {reason:#04x}: {reply}"
        );
        reply
            .get_mut("ok")
            .map(Value::take)
            .with_context(|| format!("no ok in {reply}"))
    }

    /// PINGREQ, and every packet that came before its PINGRESP: what the broker had to say by then.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        self.send_bytes(&[0xc0, 0]).await?;
        self.wait_for("PINGRESP", |packet| {
            (*packet == Packet::PingResp).then_some(())
        })
        .await
    }

    /// Packets that have come and were not asked for.
    pub fn unasked(&self) -> impl Iterator<Item = &Packet> {
        self.waiting.iter()
    }

    /// DISCONNECT with this reason, then the end of the connection.
    pub async fn disconnect(mut self, reason: u8) -> anyhow::Result<()> {
        let body: &[u8] = if self.version == Version::V5 {
            &[reason]
        } else {
            &[]
        };
        self.send_bytes(&encode::packet(0xe0, body)).await?;
        self.closed().await
    }

    /// Waits until the broker has closed the connection.
    pub async fn closed(&mut self) -> anyhow::Result<()> {
        self.wait_for("the end", |packet| {
            (*packet == Packet::Closed).then_some(())
        })
        .await
    }

    /// The reason of the DISCONNECT that the broker sends.
    pub async fn disconnected(&mut self) -> anyhow::Result<u8> {
        self.wait_for("DISCONNECT", |packet| match packet {
            Packet::Disconnect(reason, _) => Some(*reason),
            _ => None,
        })
        .await
    }

    /// The next packet id, counted up from 1.
    pub fn take_id(&mut self) -> u16 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    fn with_id(&self, id: u16, properties: &[Property]) -> BytesMut {
        let mut body = BytesMut::from(&id.to_be_bytes()[..]);
        if self.version == Version::V5 {
            encode::properties(&mut body, properties);
        }
        body
    }
}
