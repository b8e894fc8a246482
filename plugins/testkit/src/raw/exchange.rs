//! Whole exchanges of packets, for tests that are about something else.

use anyhow::ensure;

use super::{Packet, Publish, RawClient};

impl RawClient {
    /// Sends a PUBLISH, goes through its handshake, and returns the reason of the PUBACK or PUBREC.
    /// At QoS 0 a PINGREQ makes sure that it was handled.
    pub async fn publish_done(
        &mut self,
        topic: &str,
        payload: impl AsRef<[u8]>,
        qos: u8,
        retain: bool,
    ) -> anyhow::Result<u8> {
        let id = self.publish(topic, payload, qos, retain).await?;
        match qos {
            0 => {
                self.ping().await?;
                Ok(0)
            }
            1 => self.acked(4, id).await,
            _ => {
                let reason = self.acked(5, id).await?;
                if reason < 0x80 {
                    self.ack(6, id).await?;
                    self.acked(7, id).await?;
                }
                Ok(reason)
            }
        }
    }

    /// Acknowledges a message as its QoS asks for.
    pub async fn acknowledge(&mut self, message: &Publish) -> anyhow::Result<()> {
        match message.qos {
            0 => Ok(()),
            1 => self.puback(message.id).await,
            _ => {
                self.ack(5, message.id).await?;
                self.acked(6, message.id).await?;
                self.ack(7, message.id).await
            }
        }
    }

    /// The next PUBLISH on a topic, acknowledged.
    pub async fn take(&mut self, topic: &str) -> anyhow::Result<Publish> {
        let message = self.publish_on(topic).await?;
        self.acknowledge(&message).await?;
        Ok(message)
    }

    /// Fails if the broker has anything to say that nobody asked for.
    pub async fn quiet(&mut self) -> anyhow::Result<()> {
        // The first PINGRESP may overtake what was queued just before it; the second cannot.
        self.ping().await?;
        self.ping().await?;
        let unasked: Vec<&Packet> = self.unasked().collect();
        ensure!(unasked.is_empty(), "unasked: {unasked:?}");
        Ok(())
    }
}
