//! How a broker must refuse a CONNECT.

use anyhow::{Context, Result, ensure};
use partyline_testkit::{Packet, RawClient};

/// The broker closes the connection, and says nothing before but a CONNACK that refuses, with this
/// reason if one is given.
pub(super) async fn refused(client: &mut RawClient, reason: Option<u8>) -> Result<()> {
    let mut packet = client.next().await.context("waiting for a refusal")?;
    if let Packet::ConnAck(connack) = &packet {
        let right = match reason {
            Some(reason) => connack.code == reason,
            None => connack.code >= 0x80,
        };
        ensure!(right && !connack.session_present, "{connack:?}");
        packet = client.next().await.context("waiting for the end")?;
    }
    ensure!(packet == Packet::Closed, "{packet:?} instead of the end");
    Ok(())
}
