//! How a broker must end a connection.

use anyhow::{Context, ensure};
use partyline_testkit::{Packet, RawClient, Version};

/// The broker closes the connection, and says nothing before but, in MQTT 5, a DISCONNECT.
pub(crate) async fn cut(client: &mut RawClient) -> anyhow::Result<()> {
    let mut packet = client.next().await.context("waiting for the end")?;
    if client.version() == Version::V5 && matches!(packet, Packet::Disconnect(..)) {
        packet = client.next().await.context("waiting for the end")?;
    }
    ensure!(packet == Packet::Closed, "{packet:?} instead of the end");
    Ok(())
}
